import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { settingsFor } from './databases.js';
import { Sluice, TEST_TOKEN } from './sluice.js';

/** As `npm run build` leaves it; `npm test` builds first. */
const MAIN = 'dist/src/main.js';
const LAST_LINES = 20;
const CRASH_POINTS = 'dist/scripts/chaos/crash-points.js';

/** A server in a process of its own, which can be killed. */
export interface Program extends AsyncDisposable {
  readonly sluice: Sluice;
  /** Ends the process and waits until it has ended. Answers its exit code; null: by the signal. */
  readonly kill: (signal: 'SIGKILL' | 'SIGTERM') => Promise<number | null>;
  /** Stops it in its tracks, and lets it go on as if nothing had happened. */
  readonly freeze: () => void;
  readonly thaw: () => void;
  /** When it has ended, however that came: the same. */
  readonly ended: Promise<number | null>;
}

/**
 * A place at which the program sends itself a signal, the nth time that it comes by (scripts/chaos/points.ts): SIGKILL unless
 * given otherwise; of SIGSTOP it is woken by `thaw`. So it happens there, however late the test learns of anything.
 */
export interface Death {
  readonly point: string;
  readonly nth: number;
  readonly signal?: 'SIGKILL' | 'SIGSTOP';
}

/** Starts the compiled program on a data folder, with a sandbox whose time passes as good as without quota. */
export async function startProgram(
  folder: string,
  sandbox: { readonly host: string },
  { env = {}, death }: { env?: Readonly<Record<string, string>>; death?: Death | undefined } = {},
): Promise<Program> {
  const child = spawn(process.execPath, [...(death === undefined ? [] : deathFlags(folder, death)), MAIN], {
    env: {
      PORT: '0',
      ...(await settingsFor(folder)),
      SLUICE_ADMIN_TOKEN: TEST_TOKEN,
      SLUICE_SANDBOX_HOSTS: sandbox.host,
      SLUICE_SANDBOX_TIME_SCALE: '100000',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = once(child, 'exit').then(([code]) => code as number | null);
  const lines = createInterface(child.stdout);
  /** What it logged last, for when it ends without having been told to. */
  const lastLines: string[] = [];
  const url = await new Promise<string>((resolve, reject) => {
    lines.on('line', (line) => {
      lastLines.push(line);
      if (lastLines.length > LAST_LINES) lastLines.shift();
      const entry = JSON.parse(line) as { msg: string; url?: string };
      if (entry.msg === 'listening' && entry.url !== undefined) resolve(entry.url);
    });
    exit.then((code) => reject(new Error(`It ended with code ${String(code)} before it listened.`)), reject);
  });
  let isToldToEnd = death !== undefined;
  child.once('exit', (code, signal) => {
    if (isToldToEnd) return;
    // Whoever speaks to it next learns no more than ECONNREFUSED.
    const how = signal ?? `code ${String(code)}`;
    process.stderr.write(`A program ended by itself (${how}). Its last lines:\n${lastLines.join('\n')}\n`);
  });
  const kill: Program['kill'] = (signal) => {
    isToldToEnd = true;
    child.kill(signal);
    return exit;
  };
  const freeze = () => void child.kill('SIGSTOP');
  const thaw = () => void child.kill('SIGCONT');
  const stop = async () => {
    await kill('SIGKILL');
  };
  const sluice = new Sluice({ url, administrator: {}, stop }, TEST_TOKEN, folder, false, []);
  return { sluice, kill, freeze, thaw, ended: exit, [Symbol.asyncDispose]: () => sluice.stop() };
}

function deathFlags(folder: string, { point, nth, signal = 'SIGKILL' }: Death): string[] {
  const preload = pathToFileURL(CRASH_POINTS);
  preload.searchParams.set('record', `${folder}/record.txt`);
  preload.searchParams.set('point', point);
  preload.searchParams.set('nth', String(nth));
  preload.searchParams.set('signal', signal);
  return ['--import', preload.href];
}
