import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { bearer, temporaryFolder, TEST_TOKEN } from './helpers/sluice.js';

/** As `npm run build` leaves it; `npm test` builds first. */
const MAIN = 'dist/src/main.js';

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
  const launched = launch({ DATABASE_URL: `sqlite:${folder}/sluice.db`, ...env });
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
    // A body that never ends keeps it from stopping at once; `continue` tells that it waits for it.
    const upload = request(`${running.url}/profiles?id=id`, {
      method: 'PUT',
      headers: { 'content-type': 'text/csv', expect: '100-continue', ...bearer(TEST_TOKEN) },
    });
    const cut = once(upload, 'response');
    cut.catch(() => undefined);
    upload.flushHeaders();
    await once(upload, 'continue');
    upload.write('id\n');
    const stopping = once(createInterface(running.process.stdout), 'line');
    running.process.kill('SIGTERM');
    const [line] = (await stopping) as [string];
    expect(JSON.parse(line)).toMatchObject({ msg: 'stopping' });
    running.process.kill('SIGTERM');
    expect(await running.exit).toBe(1);
    await expect(cut).rejects.toThrow();
  });

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
    const running = await start(folder.path);
    const port = new URL(running.url).port;
    const { stderr, exit } = launch({
      PORT: port,
      DATABASE_URL: `sqlite:${folder.path}/another.db`,
      SLUICE_ADMIN_TOKEN: TEST_TOKEN,
    });
    expect(await exit).toBe(1);
    expect(await stderr).toMatch(new RegExp(`^[^\n]*${port}[^\n]*\n$`));
    await stop(running);
  });

  it('does not start beside another on the same database, and starts after a kill', async () => {
    await using folder = await temporaryFolder();
    const running = await start(folder.path);
    const { stderr, exit } = launch({ DATABASE_URL: `sqlite:${folder.path}/sluice.db` });
    expect(await exit).toBe(1);
    expect(await stderr).toMatch(/^Another Sluice works with [^\n]+\n$/);
    running.process.kill('SIGKILL');
    await running.exit;
    await stop(await start(folder.path));
  });
});
