import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, rmSync, type WriteStream } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { Failure } from '../client/failure.js';

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 5_000;
/** Lines of a process's log that are kept to be shown. */
const LAST_LINES = 15;

interface Actor {
  readonly name: string;
  readonly process: ChildProcess;
  readonly lastLines: string[];
}

/** A line by which a process says where it listens. */
export type Listening = Readonly<Record<string, unknown> & { url: string }>;

/** A temporary folder, and the processes that play in it: gone without a trace when it is closed. */
export class Stage implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'sluice-demo-'));
  private readonly actors: Actor[] = [];
  /** However this process ends, short of SIGKILL, it leaves nothing behind. */
  private readonly clear = () => {
    for (const { process: child } of this.actors) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  };

  constructor() {
    process.on('exit', this.clear);
  }

  /**
   * Starts a program of the build with this environment and no other, and waits until it says that it listens. Its log
   * goes to a file in the folder.
   * @param script from the build's folder, like `src/main.js`.
   */
  async start(
    name: string,
    script: string,
    { args = [], env = {} }: { args?: readonly string[]; env?: Readonly<Record<string, string>> },
    signal: AbortSignal,
  ): Promise<Listening> {
    const path = fileURLToPath(new URL(`../../${script}`, import.meta.url));
    const child = spawn(process.execPath, [path, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const actor: Actor = { name, process: child, lastLines: [] };
    this.actors.push(actor);
    const file = createWriteStream(this.logFile(name));
    const { promise, resolve, reject } = Promise.withResolvers<Listening>();
    keepLog(child.stdout, actor, file, (line) => {
      const listening = readListening(line);
      if (listening !== undefined) resolve(listening);
    });
    keepLog(child.stderr, actor, file, () => undefined);
    child.once('error', (error) => {
      reject(new Failure(`${name} cannot be started: ${error.message}.`));
    });
    // Not at "exit": what it wrote last is read by then.
    child.once('close', (code, killedBy) => {
      file.end();
      const how = killedBy === null ? `with exit code ${String(code)}` : `by ${killedBy}`;
      reject(new Failure(`${name} ended before it listened, ${how}.`));
    });
    const tooLong = AbortSignal.timeout(START_TIMEOUT_MS);
    const given = AbortSignal.any([signal, tooLong]);
    given.addEventListener('abort', () => {
      reject(tooLong.aborted ? new Failure(`${name} did not start in 30 s.`) : (signal.reason as Error));
    });
    return promise;
  }

  logFile(name: string): string {
    return join(this.folder, `${name.toLowerCase()}.log`);
  }

  /** What the process wrote last; empty if it was not started. */
  lastLines(name: string): readonly string[] {
    return this.actors.find((actor) => actor.name === name)?.lastLines ?? [];
  }

  /** Ends the processes, the last one first, and removes the folder. */
  async close(): Promise<void> {
    for (const { process: child } of this.actors.toReversed()) await end(child);
    this.clear();
    process.off('exit', this.clear);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function keepLog(
  output: Readable,
  { lastLines }: Actor,
  file: WriteStream,
  onLine: (line: string) => void,
): void {
  createInterface(output).on('line', (line) => {
    file.write(`${line}\n`);
    lastLines.push(line);
    if (lastLines.length > LAST_LINES) lastLines.shift();
    onLine(line);
  });
}

function readListening(line: string): Listening | undefined {
  try {
    const entry: unknown = JSON.parse(line);
    if (typeof entry !== 'object' || entry === null || !('msg' in entry) || !('url' in entry))
      return undefined;
    return entry.msg === 'listening' && typeof entry.url === 'string'
      ? { ...entry, url: entry.url }
      : undefined;
  } catch {
    // Not every line is JSON.
    return undefined;
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const impatience = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(impatience);
}
