import { startSandbox, type Sandbox, type SandboxOptions } from '../../sandbox/sandbox.js';
import { noteStart, noteStop } from './leaks.js';

/**
 * A destination of the test's own whose time passes so fast that no quota is ever felt; `timeScale` or `now` slow it
 * down.
 * @example await using sandbox = await startTestSandbox();
 */
export async function startTestSandbox(options: SandboxOptions = {}): Promise<Sandbox & AsyncDisposable> {
  const sandbox = await startSandbox({ timeScale: 100_000, ...options });
  const disposable = Object.assign(sandbox, {
    [Symbol.asyncDispose]: async () => {
      noteStop(sandbox);
      await sandbox.close();
    },
  });
  noteStart(disposable, `sandbox at ${sandbox.url}`);
  return disposable;
}
