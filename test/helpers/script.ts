import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';

export interface Finished {
  /** The exit code; null: ended by a signal. */
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

export interface RunningScript {
  readonly process: ChildProcessByStdio<Writable, Readable, Readable>;
  /** Standard output, line by line. */
  readonly lines: Interface;
  readonly finished: Promise<Finished>;
}

export interface ScriptOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly folder?: string;
}

/** Starts a script as `npm run build` leaves it, in an environment of its own; `npm test` builds first. */
export function startScript(
  name: string,
  args: readonly string[],
  options: ScriptOptions = {},
): RunningScript {
  const child = spawn(process.execPath, [`${process.cwd()}/dist/scripts/${name}.js`, ...args], {
    env: options.env ?? {},
    cwd: options.folder,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const finish = async (): Promise<Finished> => {
    const [[code], output, errors] = await Promise.all([
      once(child, 'close') as Promise<[number | null]>,
      text(child.stdout),
      text(child.stderr),
    ]);
    return { code, output, errors };
  };
  return { process: child, lines: createInterface(child.stdout), finished: finish() };
}

/** Runs a script to its end, with this on its standard input. */
export function runScript(
  name: string,
  args: readonly string[],
  { input = '', ...options }: ScriptOptions & { readonly input?: string } = {},
): Promise<Finished> {
  const { process: child, finished } = startScript(name, args, options);
  child.stdin.end(input);
  return finished;
}

/** Resolves with what the pattern finds in the first line that has it. */
export async function lineOf({ lines, finished }: RunningScript, pattern: RegExp): Promise<string> {
  const found = new Promise<string>((resolve) => {
    lines.on('line', (line) => {
      const match = pattern.exec(line);
      if (match !== null) resolve(match[1] ?? match[0]);
    });
  });
  const tooEarly = finished.then(({ output, errors }) => {
    throw new Error(`It ended without a line like ${String(pattern)}:\n${output}\n${errors}`);
  });
  return Promise.race([found, tooEarly]);
}
