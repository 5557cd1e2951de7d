import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Failure } from '../client/failure.js';
import { cpuSecondsOf } from './cpu.js';

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 15_000;
const LAST_LINES = 10;

/** The folder of package.json, seen from the build. */
const PACKAGE = new URL('../../../', import.meta.url);

export interface Program {
  /** From the build's folder, like `src/main.js`. */
  readonly script: string;
  readonly nodeFlags?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface RunningProgram {
  readonly url: string;
  /** The most memory that the process ever had, in MB of 10⁶ bytes; null: this system does not tell. */
  readonly peakRssMb: () => number | null;
  /** How long it has been at work so far; null: this system does not tell. */
  readonly cpuSeconds: () => number | null;
  /** Ends it and waits until it has ended. */
  readonly stop: () => Promise<void>;
  /** Ends it without warning (SIGKILL), and waits until it has ended. */
  readonly kill: () => Promise<void>;
}

/** A temporary folder, and the processes that work in it: gone without a trace when it is closed. */
export class Processes implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  private readonly children = new Set<ChildProcess>();
  private readonly clear = () => {
    for (const child of this.children) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  };

  constructor() {
    process.on('exit', this.clear);
  }

  /** Starts a program in an environment of its own, and waits until it says where it listens. */
  async start(
    name: string,
    { script, nodeFlags = [], args = [], env = {} }: Program,
  ): Promise<RunningProgram> {
    const path = fileURLToPath(new URL(`dist/${script}`, PACKAGE));
    const child = spawn(process.execPath, [...nodeFlags, path, ...args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.children.add(child);
    const log = createWriteStream(join(this.folder, `${name}.log`), { flags: 'a' });
    const lastLines: string[] = [];
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    for (const output of [child.stdout, child.stderr]) {
      createInterface(output).on('line', (line) => {
        log.write(`${line}\n`);
        lastLines.push(line);
        if (lastLines.length > LAST_LINES) lastLines.shift();
        const url = /"url":"(http[^"]+)"/.exec(line)?.[1];
        if (url !== undefined && line.includes('"msg":"listening"')) resolve(url);
      });
    }
    child.once('error', reject);
    child.once('close', () => {
      log.end();
      reject(new Failure(`The ${name} ended before it listened:\n${lastLines.join('\n')}`));
    });
    const tooLong = setTimeout(() => {
      reject(new Failure(`The ${name} did not start within ${START_TIMEOUT_MS / 1_000} s.`));
    }, START_TIMEOUT_MS);
    try {
      const url = await promise;
      return {
        url,
        peakRssMb: () => peakRssMb(child),
        cpuSeconds: () => cpuSecondsOf(child.pid),
        stop: () => this.end(child, 'SIGTERM'),
        kill: () => this.end(child, 'SIGKILL'),
      };
    } finally {
      clearTimeout(tooLong);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.children) await this.end(child, 'SIGTERM');
    this.clear();
    process.off('exit', this.clear);
  }

  private async end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
    this.children.delete(child);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    const impatience = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(impatience);
  }
}

/** The flags that `npm start` gives to Node: what is measured is what is used. */
export function startFlags(): string[] {
  const { scripts } = JSON.parse(readFileSync(new URL('package.json', PACKAGE), 'utf8')) as {
    scripts: { start: string };
  };
  const flags = /\bnode ((?:--\S+ )*)\S*src\/main\.js/.exec(scripts.start)?.[1];
  if (flags === undefined) throw new Failure('The script "start" in package.json starts no src/main.js.');
  return flags.split(' ').filter((flag) => flag !== '');
}

/** Linux keeps the high-water mark of each process; nobody else does where it can be read from outside. */
function peakRssMb({ pid }: ChildProcess): number | null {
  if (process.platform !== 'linux' || pid === undefined) return null;
  const kib = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return kib === undefined ? null : Math.round((Number(kib) * 1_024) / 1e6);
}
