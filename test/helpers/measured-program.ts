import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { Command, Measurement } from './measured-server.js';
import { removeFolder, settingsFor } from './databases.js';
import { Sluice, temporaryFolder, TEST_TOKEN } from './sluice.js';

/** As `npm run build` leaves it; `npm test` builds first. */
const MODULE = 'dist/test/helpers/measured-server.js';

/** As `npm start` has it. */
const MEMORY = ['--max-semi-space-size=16', '--heap-growing-percent=40'];

/** A server in a process of its own, whose memory can be told from that of its callers. */
export interface MeasuredProgram extends AsyncDisposable {
  readonly sluice: Sluice;
  readonly measure: () => Promise<Measurement>;
  /** Ends the runs at once and tells of it so many times in one tick. */
  readonly finish: (runIds: readonly string[], changes: number) => Promise<Measurement>;
  /** Everything that it wrote to standard error. */
  readonly complaints: () => string;
}

export async function startMeasured(env: Readonly<Record<string, string>> = {}): Promise<MeasuredProgram> {
  const folder = await temporaryFolder();
  const child = fork(MODULE, {
    execArgv: ['--expose-gc', ...MEMORY],
    env: {
      PORT: '0',
      ...(await settingsFor(folder.path)),
      SLUICE_ADMIN_TOKEN: TEST_TOKEN,
      LOG_LEVEL: 'error',
      ...env,
    },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let complaints = '';
  child.stderr?.on('data', (chunk: Buffer) => (complaints += chunk.toString()));
  const exit = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`The server ended: ${String(code ?? signal)}. ${complaints}`);
  });
  exit.catch(() => undefined);
  const answer = () => Promise.race([once(child, 'message').then(([message]) => message as unknown), exit]);
  const command = async (what: Command) => {
    const answered = answer();
    child.send(what);
    return (await answered) as Measurement;
  };
  const { url } = (await answer()) as { url: string };
  const stop = async () => {
    child.kill('SIGKILL');
    await exit.catch(() => undefined);
    await removeFolder(folder.path);
  };
  const sluice = new Sluice({ url, administrator: {}, stop }, TEST_TOKEN, folder.path, false, []);
  return {
    sluice,
    measure: () => command({ measure: true }),
    finish: (runIds, changes) => command({ finish: runIds, changes }),
    complaints: () => complaints,
    [Symbol.asyncDispose]: () => sluice.stop(),
  };
}
