import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';

/**
 * How many times faster than the machine's the sandbox's time passes, for the sandbox and for the server. A restart takes less
 * than a minute of this time: after a longer one nobody can tell whose the removals under way were, and all of them would be in
 * doubt.
 */
export const TIME_SCALE = 30;

const TOKEN = 'token-of-the-storys-administrator';
const MAIN = join(import.meta.dirname, '../../src/main.js');
const CRASH_POINTS = join(import.meta.dirname, 'crash-points.js');
/** From here on the server's log tells of a fault of its own (pino's level "error"). */
const ERROR_LEVEL = 50;

/** Where a server dies by itself. */
export interface Death {
  readonly point: string;
  readonly nth: number;
}

/**
 * The folder of a story: the database that lives through everything, unless it lies elsewhere, the server's log, the record
 * of the kills.
 */
export class Folder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'sluice-chaos-'));
  readonly log = join(this.path, 'server.log');
  readonly record = join(this.path, 'record.txt');
  private readonly children = new Set<ChildProcess>();
  /** Set when there is something to look into: then it is left behind. */
  keep = false;
  /** However this process ends, short of SIGKILL, it leaves no process behind. */
  private readonly clear = () => {
    for (const child of this.children) child.kill('SIGKILL');
    if (!this.keep) rmSync(this.path, { recursive: true, force: true });
  };

  /** @param database a Postgres; without it a SQLite file in the folder. */
  constructor(private readonly database?: string) {
    process.on('exit', this.clear);
  }

  /** As DATABASE_URL says it. */
  get databaseUrl(): string {
    return this.database ?? `sqlite:${join(this.path, 'sluice.db')}`;
  }

  watch(child: ChildProcess): void {
    this.children.add(child);
    child.once('exit', () => this.children.delete(child));
  }

  /** What the servers wrote before they died: lines of a kind. */
  recorded(kind: 'HIT' | 'RECEIPT'): string[] {
    try {
      const lines = readFileSync(this.record, 'utf8').split('\n');
      return lines.filter((line) => line.startsWith(`${kind} `)).map((line) => line.slice(kind.length + 1));
    } catch {
      // Nothing was recorded yet.
      return [];
    }
  }

  [Symbol.dispose](): void {
    this.clear();
    process.off('exit', this.clear);
  }
}

/** A server in a process of its own. */
export class ServerProcess {
  readonly token = TOKEN;
  /** Aborts when the process has ended. */
  readonly gone: AbortSignal;
  /** Where it listens; undefined: it ended before. */
  readonly url: Promise<string | undefined>;
  /** Lines of its log that tell of a fault of its own. */
  readonly complaints: string[] = [];
  private readonly child: ChildProcess;
  /** Resolves with the exit code; null: it was killed. */
  readonly ended: Promise<number | null>;

  constructor(folder: Folder, sandboxHost: string, death?: Death) {
    const preload = pathToFileURL(CRASH_POINTS);
    preload.searchParams.set('record', folder.record);
    if (death !== undefined) {
      preload.searchParams.set('point', death.point);
      preload.searchParams.set('nth', String(death.nth));
    }
    const child = spawn(process.execPath, ['--import', preload.href, MAIN], {
      env: {
        PORT: '0',
        DATABASE_URL: folder.databaseUrl,
        SLUICE_DATA_FOLDER: folder.path,
        SLUICE_ADMIN_TOKEN: TOKEN,
        SLUICE_SANDBOX_HOSTS: sandboxHost,
        SLUICE_SANDBOX_TIME_SCALE: String(TIME_SCALE),
        // A start takes half the time when the code need not be compiled again.
        NODE_COMPILE_CACHE: join(folder.path, 'compiled'),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    folder.watch(child);
    const gone = new AbortController();
    this.gone = gone.signal;
    // Not at "exit": what it wrote last is read by then.
    this.ended = once(child, 'close').then(([code]) => {
      gone.abort(new Error('The server is gone.'));
      return code as number | null;
    });
    const log = createWriteStream(folder.log, { flags: 'a' });
    this.url = new Promise((resolve) => {
      keep(child.stdout, log, (line) => {
        const entry = parse(line);
        if (entry?.msg === 'listening' && typeof entry.url === 'string') resolve(entry.url);
        if (Number(entry?.level) >= ERROR_LEVEL) this.complaints.push(line);
      });
      void this.ended.then(() => {
        resolve(undefined);
        log.end();
      });
    });
    keep(child.stderr, log, (line) => this.complaints.push(line));
  }

  /** kill -9, and waits until it is gone. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  /** Asks it to end, and waits. @returns its exit code; null: it was killed. */
  async stop(): Promise<number | null> {
    this.child.kill('SIGTERM');
    return this.ended;
  }
}

function keep(output: Readable, log: NodeJS.WritableStream, onLine: (line: string) => void): void {
  createInterface(output).on('line', (line) => {
    log.write(`${line}\n`);
    onLine(line);
  });
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    // A line that a kill cut off.
    return undefined;
  }
}
