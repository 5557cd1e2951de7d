import { spawn, type ChildProcess, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { onSqlite, settingsFor } from './helpers/databases.js';
import { bearer, temporaryFolder, TEST_TOKEN } from './helpers/sluice.js';

/** As `npm run build` leaves it; `npm test` builds first. */
const MAIN = 'dist/src/main.js';

/** Time for a test in which the build is looked through once more, on a machine that has much to do. */
const BUILD_MS = 120_000;

interface Running {
  readonly process: ChildProcessWithoutNullStreams;
  readonly url: string;
  readonly stderr: Promise<string>;
  readonly exit: Promise<number | null>;
}

function launch(env: Record<string, string>): Omit<Running, 'url'> {
  const child = spawn(process.execPath, [MAIN], { env: { PORT: '0', ...env } });
  const exit = once(child, 'exit').then(([code]) => code as number | null);
  return { process: child, stderr: text(child.stderr), exit };
}

/** Starts the program and waits until it says that it listens. */
async function start(folder: string, env: Record<string, string> = {}): Promise<Running> {
  const launched = launch({ ...(await settingsFor(folder)), ...env });
  for await (const line of createInterface(launched.process.stdout)) {
    const { msg, url } = JSON.parse(line) as { msg: string; url?: string };
    if (msg === 'listening' && url !== undefined) return { ...launched, url };
  }
  throw new Error(`It ended without listening: ${await launched.stderr}`);
}

async function stop(running: Running, signal: 'SIGTERM' | 'SIGINT' = 'SIGTERM'): Promise<string> {
  running.process.kill(signal);
  expect(await running.exit).toBe(0);
  return running.stderr;
}

/** An upload without an end keeps the program from stopping at once. */
async function beginEndlessUpload({ url }: Running): Promise<void> {
  const upload = request(`${url}/profiles?id=id`, {
    method: 'PUT',
    headers: { 'content-type': 'text/csv', expect: '100-continue', ...bearer(TEST_TOKEN) },
  });
  // The program breaks it off.
  upload.on('error', () => undefined);
  upload.flushHeaders();
  await once(upload, 'continue');
  upload.write('id\n');
}

async function beginToStop({ process: child }: Running, signal: NodeJS.Signals): Promise<void> {
  const stopping = once(createInterface(child.stdout), 'line');
  child.kill(signal);
  const [line] = (await stopping) as [string];
  expect(JSON.parse(line)).toMatchObject({ msg: 'stopping' });
}

function pidOf({ pid }: ChildProcess): number {
  if (pid === undefined) throw new Error('It could not be started.');
  return pid;
}

/** Whether npm had left a process of its group behind. */
function killWhoIsLeft(npm: ChildProcess): boolean {
  try {
    return process.kill(-pidOf(npm), 'SIGKILL');
  } catch (error: unknown) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    return false;
  }
}

describe('the program', () => {
  it("shows the administrator's token at the first start and never again", async () => {
    await using folder = await temporaryFolder();
    const first = await start(folder.path);
    const told = await stop(first);
    const token = /slu_\S+/.exec(told)?.[0] ?? null;
    expect(told).toContain(`${folder.path}/admin-token`);

    const second = await start(folder.path);
    const answer = await fetch(`${second.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...bearer(token) },
      body: '{"query": "{ me { displayName } }"}',
    });
    expect(await answer.json()).toEqual({ data: { me: { displayName: 'Administrator' } } });
    expect(await stop(second, 'SIGINT')).toBe('');
  });

  it('ends at once, with code 1, at a second signal', async () => {
    await using folder = await temporaryFolder();
    const running = await start(folder.path, { SLUICE_ADMIN_TOKEN: TEST_TOKEN });
    await beginEndlessUpload(running);
    await beginToStop(running, 'SIGTERM');
    running.process.kill('SIGTERM');
    expect(await running.exit).toBe(1);
  });

  it('takes a Ctrl-C that comes twice, from the terminal and from npm, for one', async () => {
    await using folder = await temporaryFolder();
    const running = await start(folder.path, { SLUICE_ADMIN_TOKEN: TEST_TOKEN });
    await beginEndlessUpload(running);
    await beginToStop(running, 'SIGINT');
    running.process.kill('SIGINT');
    expect(await running.exit).toBe(0);
  });

  it.each([
    ['SIGTERM', 'as a service manager ends it', (npm: ChildProcess) => npm.kill('SIGTERM')],
    // The terminal sends it to everybody in the group, and npm passes its own on.
    ['SIGINT', 'as Ctrl-C does it', (npm: ChildProcess) => process.kill(-pidOf(npm), 'SIGINT')],
  ])(
    'comes to an orderly end when `npm start` gets a %s, %s',
    async (_signal, _how, end) => {
      await using folder = await temporaryFolder();
      // It builds once more, which finds nothing to do after `npm test` has built.
      const npm = spawn('npm', ['start', '--silent'], {
        env: {
          PATH: process.env.PATH,
          PORT: '0',
          ...(await settingsFor(folder.path)),
          SLUICE_ADMIN_TOKEN: TEST_TOKEN,
        },
        stdio: ['ignore', 'pipe', 'ignore'],
        detached: true,
      });
      const messages: string[] = [];
      createInterface(npm.stdout).on('line', (line) => {
        const { msg } = JSON.parse(line) as { msg: string };
        messages.push(msg);
        if (msg === 'listening') end(npm);
      });
      const closed = once(npm, 'close');
      await once(npm, 'exit');
      expect(killWhoIsLeft(npm)).toBe(false);
      await closed;
      expect(messages.slice(-2)).toEqual(['stopping', 'stopped']);
    },
    BUILD_MS,
  );

  it.each([
    [{ PORT: 'many' }, 'The setting PORT cannot be used'],
    [{ DATABASE_URL: 'mysql://localhost' }, 'The setting DATABASE_URL cannot be used'],
    [{ SLUICE_SECRET_KEY: 'short' }, 'The setting SLUICE_SECRET_KEY cannot be used'],
  ])('says in one line what is wrong with %j, and exits with 1', async (env, message) => {
    const { stderr, exit } = launch(env);
    expect(await exit).toBe(1);
    expect(await stderr).toMatch(new RegExp(`^${message}[^\n]*\n$`));
  });

  it('says in one line that the port is taken, and exits with 1', async () => {
    await using folder = await temporaryFolder();
    await using another = await temporaryFolder();
    const running = await start(folder.path);
    const port = new URL(running.url).port;
    const { stderr, exit } = launch({
      PORT: port,
      ...(await settingsFor(another.path)),
      SLUICE_ADMIN_TOKEN: TEST_TOKEN,
    });
    expect(await exit).toBe(1);
    expect(await stderr).toMatch(new RegExp(`^[^\n]*${port}[^\n]*\n$`));
    await stop(running);
  });

  onSqlite('does not start beside another on the same file, and starts after a kill', async () => {
    await using folder = await temporaryFolder();
    const running = await start(folder.path);
    const { stderr, exit } = launch(await settingsFor(folder.path));
    expect(await exit).toBe(1);
    expect(await stderr).toMatch(/^Another Sluice works with [^\n]+\n$/);
    running.process.kill('SIGKILL');
    await running.exit;
    await stop(await start(folder.path));
  });
});
