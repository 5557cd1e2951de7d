import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { connectIn, settingsFor } from './helpers/databases.js';
import { createSecretBox, SealedTextError } from '../src/security/secret-box.js';
import { connectionCalls } from './helpers/connection-calls.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { startSluice, temporaryFolder, type Sluice } from './helpers/sluice.js';

/** As `npm run build` leaves it; `npm test` builds first. */
const PROGRAM = 'dist/src/rotate-keys.js';
const [OLD, NEW, OTHER] = [newKey(), newKey(), newKey()];

function newKey(): string {
  return randomBytes(32).toString('base64');
}

const idOf = (key: string) =>
  createHash('sha256').update(Buffer.from(key, 'base64')).digest('hex').slice(0, 8);

interface Ended {
  readonly code: number | null;
  readonly lines: Record<string, unknown>[];
  readonly errors: string;
}

/** Runs the program to its end, or kills it after so many rows. */
async function rotate(folder: string, keys: string[], killAfter = Infinity): Promise<Ended> {
  const child = spawn(process.execPath, [PROGRAM], {
    env: { ...(await settingsFor(folder)), SLUICE_SECRET_KEY: keys.join(',') },
  });
  const lines: Record<string, unknown>[] = [];
  let errors = '';
  child.stderr.on('data', (text: Buffer) => (errors += text.toString()));
  createInterface(child.stdout).on('line', (line) => {
    lines.push(JSON.parse(line) as Record<string, unknown>);
    if (lines.length === killAfter) child.kill('SIGKILL');
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, lines, errors };
}

const withKeys = (folder: string, ...keys: string[]) =>
  startSluice({ folder, env: { SLUICE_SECRET_KEY: keys.join(',') } });

async function createConnections(sluice: Sluice, count: number): Promise<void> {
  const calls = connectionCalls(sluice);
  for (let n = 0; n < count; n += 1)
    await calls.create({ host: 'a.api-us1.com', apiKey: `key-number-${n}-of-many` });
}

/** Which keys the rows open with, as they lie in the file. */
async function readable(folder: string, ...keys: string[]): Promise<{ opened: string[]; failed: number }> {
  await using source = await connectIn(folder);
  const rows = await source.query<{ id: string; sealedApiKey: string }[]>(
    'SELECT * FROM "connections" ORDER BY "id"',
  );
  const box = createSecretBox(keys);
  const opened = rows.flatMap(({ id, sealedApiKey }) => {
    try {
      return [box.open(sealedApiKey, { table: 'connections', row: id, column: 'sealedApiKey' })];
    } catch (error: unknown) {
      if (error instanceof SealedTextError) return [];
      throw error;
    }
  });
  return { opened, failed: rows.length - opened.length };
}

describe('npm run rotate-keys', () => {
  it('seals everything under the first key, so that the others can go', async () => {
    await using folder = await temporaryFolder();
    {
      await using sluice = await withKeys(folder.path, OLD);
      await createConnections(sluice, 3);
    }
    expect((await readable(folder.path, NEW)).failed).toBe(3);
    const { code, lines, errors } = await rotate(folder.path, [NEW, OLD]);
    expect({ code, last: lines.at(-1), errors }).toEqual({
      code: 0,
      // Three API keys, and the key of hashes.
      last: { msg: 'done', resealed: 4, current: 0, unreadable: 0 },
      errors: '',
    });
    expect((await readable(folder.path, NEW)).opened).toEqual(
      [0, 1, 2].map((n) => `key-number-${n}-of-many`),
    );
    expect((await readable(folder.path, OLD)).failed).toBe(3);
  });

  it('killed at any point leaves every row readable, and goes on when it is called again', async () => {
    const COUNT = 12;
    await using folder = await temporaryFolder();
    {
      await using sluice = await withKeys(folder.path, OLD);
      await createConnections(sluice, COUNT);
    }
    const all = (await readable(folder.path, OLD)).opened;
    for (const killAfter of [1, 5, 9]) {
      const { code } = await rotate(folder.path, [NEW, OLD], killAfter);
      expect(code).not.toBe(0);
      expect(await readable(folder.path, NEW, OLD)).toEqual({ opened: all, failed: 0 });
    }
    const done = (await readable(folder.path, NEW)).opened.length;
    expect(done).toBeGreaterThan(0);
    const { lines } = await rotate(folder.path, [NEW, OLD]);
    expect(lines.at(-1)).toEqual({ msg: 'done', resealed: COUNT - done + 1, current: done, unreadable: 0 });
    expect(await readable(folder.path, NEW)).toEqual({ opened: all, failed: 0 });
  });

  it('with a wrong key names the key that is missing, reseals the others, and ends with code 1', async () => {
    await using folder = await temporaryFolder();
    {
      await using sluice = await withKeys(folder.path, OTHER);
      await createConnections(sluice, 1);
    }
    {
      await using sluice = await withKeys(folder.path, OLD);
      await createConnections(sluice, 1);
    }
    const { code, lines, errors } = await rotate(folder.path, [NEW, OLD]);
    expect(code).toBe(1);
    expect(lines.at(-1)).toEqual({ msg: 'done', resealed: 1, current: 0, unreadable: 2 });
    expect(errors).toContain(idOf(OTHER));
    expect(errors).toMatch(/connections [0-9a-f-]{36}, sealedApiKey: .*secret key/);
    expect(errors).toMatch(/hash_keys persons, sealedKey: .*secret key/);
    expect(errors).not.toContain(OTHER);
    expect(await readable(folder.path, NEW, OTHER)).toMatchObject({ failed: 0 });
  });

  it('may be called beside the running server, which goes on with both keys', async () => {
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox();
    const env = { SLUICE_SECRET_KEY: [NEW, OLD].join(',') };
    {
      await using before = await startSluice({
        folder: folder.path,
        sandbox,
        env: { SLUICE_SECRET_KEY: OLD },
      });
      const { id } = await connectionCalls(before).create({ host: sandbox.host, apiKey: sandbox.token });
      await connectionCalls(before).giveConsent(id);
    }
    await using sluice = await startSluice({ folder: folder.path, sandbox, env });
    const connect = async () => {
      const { connections } = await sluice.query<{ connections: { nodes: { id: string }[] } }>(
        '{ connections { nodes { id } } }',
      );
      return connectionCalls(sluice).connect(connections.nodes[0]?.id ?? '');
    };
    expect(await connect()).toMatchObject({ state: 'CONNECTED' });
    expect(await rotate(folder.path, [NEW, OLD])).toMatchObject({ code: 0 });
    expect(await connect()).toMatchObject({ state: 'CONNECTED' });
  });
});

describe('a server without the key that sealed', () => {
  it('says which one it needs, where the key is wanted', async () => {
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox();
    {
      await using before = await startSluice({
        folder: folder.path,
        sandbox,
        env: { SLUICE_SECRET_KEY: OLD },
      });
      const { id } = await connectionCalls(before).create({ host: sandbox.host, apiKey: sandbox.token });
      await connectionCalls(before).giveConsent(id);
    }
    await using sluice = await startSluice({ folder: folder.path, sandbox, env: { SLUICE_SECRET_KEY: NEW } });
    const { body } = await sluice.request('mutation ($id: ID!) { connect(connectionId: $id) { state } }', {
      id: (
        await sluice.query<{ connections: { nodes: { id: string }[] } }>('{ connections { nodes { id } } }')
      ).connections.nodes[0]?.id,
    });
    expect(body.errors?.[0]).toMatchObject({
      message: expect.stringContaining(idOf(OLD)) as string,
      extensions: { code: 'CONNECTION_FAILED' },
    });
  });
});
