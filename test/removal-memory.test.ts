import { join } from 'node:path';
import type { Sandbox } from '../sandbox/sandbox.js';
import { readConfig } from '../src/config.js';
import { rememberRemoval, removalsOf } from '../src/exports/removals.js';
import { createLogger } from '../src/logger.js';
import { loadPersonHash } from '../src/security/person-hash.js';
import { createSecretBox } from '../src/security/secret-box.js';
import { moveServer } from '../src/server/move.js';
import { rotateKeysOf } from '../src/server/rotation.js';
import { createCalendar } from './helpers/calendar.js';
import { connectionCalls } from './helpers/connection-calls.js';
import { connectIn, onSqlite, openIn, settingsFor } from './helpers/databases.js';
import {
  emailOf,
  exportOf,
  finish,
  people,
  rejectionsOf,
  runFully,
  startEngine,
  type Engine,
} from './helpers/engine.js';
import {
  connectedConnection,
  createExportOf,
  segmentNamed,
  startRun,
  type ExportWishes,
  type FinishedRun,
} from './helpers/flows.js';
import { createPostgresDatabase } from './helpers/postgres.js';
import { openRunRows } from './helpers/run-rows.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { startSluice, temporaryFolder, type Sluice } from './helpers/sluice.js';

const LEAVERS = { leavers: 'UNSUBSCRIBE', leaverHoldPercent: 100 } as const;
const ON = 1;
const OFF = 2;

/** Where people stand on a list: 1 on it, 2 taken off. */
function standings(sandbox: Sandbox, ns: readonly number[], list = 1): (number | undefined)[] {
  return ns.map(
    (n) => sandbox.contact(emailOf(n))?.lists.find((membership) => membership.list === list)?.status,
  );
}

/** Makes these people the members of a segment: the nth person for each. */
async function setMembers(sluice: Sluice, ns: readonly number[], segment = 'All'): Promise<void> {
  const [header = ''] = people(0).split('\n');
  const rows = ns.map((n) => people(1, n).split('\n')[1] ?? '');
  await sluice.importCsv([header, ...rows, ''].join('\n'), { segment });
}

/** An export of a segment of its own with these members, to list 1 unless it is said otherwise. */
async function exportOfPeople(
  { sluice, connectionId }: Pick<Engine, 'sluice' | 'connectionId'>,
  ns: readonly number[],
  wishes: Partial<ExportWishes> = {},
): Promise<string> {
  await setMembers(sluice, ns, 'Second');
  const segmentIds = [await segmentNamed(sluice, 'Second')];
  return createExportOf(sluice, { connectionId, segmentIds, name: 'Second', ...wishes });
}

async function removeExport(sluice: Sluice, id: string): Promise<void> {
  await sluice.query('mutation ($id: ID!) { removeExport(id: $id) }', { id });
}

const upTo = (count: number, except: readonly number[] = []) =>
  Array.from({ length: count }, (_, index) => index + 1).filter((n) => !except.includes(n));

/** An export of ten people that takes some of them off the list, and is removed then. */
async function removedExport(
  engine: Pick<Engine, 'sluice' | 'sandbox' | 'connectionId'>,
  left: readonly number[],
): Promise<void> {
  const { sluice, sandbox } = engine;
  const exportId = await exportOf(engine, people(10), LEAVERS);
  await runFully(sluice, exportId);
  await setMembers(sluice, upTo(10, left));
  await runFully(sluice, exportId);
  expect(standings(sandbox, left)).toEqual(left.map(() => OFF));
  await removeExport(sluice, exportId);
}

/** Calls that look somebody up at the destination. */
const lookUps = ({ log }: Sandbox) =>
  log.filter(({ kind }) => kind === 'contacts' || kind === 'contactLists').length;

const reasons = async (sluice: Sluice, { id }: FinishedRun) =>
  (await rejectionsOf(sluice, id)).map(({ email, reason }) => [email, reason]);

describe('whom a removed export had taken off the list', () => {
  it('is put back by another export, as its plan says beforehand', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    await removedExport(engine, [3, 4, 5]);
    const second = await exportOfPeople(engine, [3, 4, 5, 11]);
    const { planExport } = await sluice.query<{ planExport: object }>(
      'query ($id: ID!) { planExport(exportId: $id) { new returning } }',
      { id: second },
    );
    expect(planExport).toEqual({ new: 1, returning: 3 });

    const run = await runFully(sluice, second);

    expect(await rejectionsOf(sluice, run.id)).toEqual([]);
    expect(run).toMatchObject({ state: 'SUCCEEDED', progress: { toSend: 4, confirmed: 4, rejected: 0 } });
    expect(standings(sandbox, [3, 4, 5, 11])).toEqual([ON, ON, ON, ON]);
    expect(sandbox.summary().invariants).toMatchObject({ overriddenOptOuts: 0, resubscriptions: 3 });
    expect((await runFully(sluice, second)).progress).toMatchObject({ unchanged: 4, toSend: 0 });
  });

  it('is put back by an export whose first run was cancelled before it could look', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    await removedExport(engine, [3, 4]);
    const second = await exportOfPeople(engine, [3, 4]);
    sandbox.addFault({ on: 'contacts', times: null, action: { type: 'answer', status: 500 } });
    const asked = sandbox.nextCall(({ kind }) => kind === 'contacts');
    const runId = await startRun(sluice, second);
    await asked;
    await sluice.query('mutation ($id: ID!) { cancelExportRun(id: $id) { id } }', { id: runId });
    expect((await finish(sluice, runId)).state).toBe('CANCELED');
    sandbox.clearFaults();

    expect(await runFully(sluice, second)).toMatchObject({ state: 'SUCCEEDED', progress: { confirmed: 2 } });
    expect(standings(sandbox, [3, 4])).toEqual([ON, ON]);
  });

  it('stays off if the person opted out, before that or after', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, people(10), LEAVERS);
    await runFully(sluice, exportId);
    sandbox.unsubscribe(emailOf(3), 1, { campaign: '7' });
    sandbox.unsubscribe(emailOf(4), 1);
    await setMembers(sluice, upTo(10, [3, 4, 5, 6, 7]));
    await runFully(sluice, exportId);
    sandbox.unsubscribe(emailOf(5), 1, { reason: 'too many' });
    sandbox.unsubscribe(emailOf(6), 1);
    await removeExport(sluice, exportId);
    const second = await exportOfPeople(engine, [3, 4, 5, 6, 7]);

    const run = await runFully(sluice, second);

    expect(await reasons(sluice, run)).toEqual([3, 4, 5, 6].map((n) => [emailOf(n), 'OPTED_OUT']));
    expect(standings(sandbox, [3, 4, 5, 6, 7])).toEqual([OFF, OFF, OFF, OFF, ON]);
    expect(sandbox.summary().invariants).toMatchObject({ overriddenOptOuts: 0 });
  });

  it('is remembered for that list alone', async () => {
    await using engine = await startEngine({ sandbox: { lists: [{ name: 'One' }, { name: 'Two' }] } });
    const { sluice, sandbox } = engine;
    await removedExport(engine, [3, 4]);
    const before = lookUps(sandbox);
    const second = await exportOfPeople(engine, [3, 4], { listId: '2' });

    expect(await runFully(sluice, second)).toMatchObject({ state: 'SUCCEEDED', progress: { confirmed: 2 } });
    expect(lookUps(sandbox)).toBe(before);
    expect([standings(sandbox, [3, 4], 1), standings(sandbox, [3, 4], 2)]).toEqual([
      [OFF, OFF],
      [ON, ON],
    ]);
  });

  it('is remembered for that account alone', async () => {
    await using sandbox = await startTestSandbox();
    await using other = await startTestSandbox({ account: 'other' });
    const env = { SLUICE_SANDBOX_HOSTS: `${sandbox.host},${other.host}` };
    await using sluice = await startSluice({ sandbox, env });
    const engine = { sluice, sandbox, connectionId: await connectedConnection(sluice, sandbox) };
    await removedExport(engine, [3, 4]);
    const elsewhere = { sluice, connectionId: await connectedConnection(sluice, other) };
    other.addContacts([{ email: emailOf(3) }, { email: emailOf(4) }]);
    const second = await exportOfPeople(elsewhere, [3, 4]);

    expect(await runFully(sluice, second)).toMatchObject({ state: 'SUCCEEDED', progress: { confirmed: 2 } });
    expect(lookUps(other)).toBe(0);
    expect([standings(sandbox, [3, 4]), standings(other, [3, 4])]).toEqual([
      [OFF, OFF],
      [ON, ON],
    ]);
  });

  it('costs no look-up once the destination has confirmed the contact on the list again', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    const first = await exportOf(engine, people(10), LEAVERS);
    await runFully(sluice, first);
    await setMembers(sluice, upTo(10, [3, 4]));
    await runFully(sluice, first);
    await setMembers(sluice, upTo(10, [4]));
    await runFully(sluice, first);
    await removeExport(sluice, first);
    const before = lookUps(sandbox);
    const second = await exportOfPeople(engine, [1, 3]);

    expect(await runFully(sluice, second)).toMatchObject({ state: 'SUCCEEDED', progress: { confirmed: 2 } });
    expect(lookUps(sandbox)).toBe(before);
  });

  it('is remembered after the profile was removed', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    await removedExport(engine, [3, 4]);
    await sluice.query('mutation { removeProfiles(ids: ["3", "4"]) }');
    const second = await exportOfPeople(engine, [3, 4]);

    expect(await runFully(sluice, second)).toMatchObject({ state: 'SUCCEEDED', progress: { confirmed: 2 } });
    expect(standings(sandbox, [3, 4])).toEqual([ON, ON]);
  });

  it('leaves nothing behind that tells who it was', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    await removedExport(engine, [3, 4]);
    await using source = await connectIn(sluice.folder);
    const rows = await source.query<Record<string, unknown>[]>('SELECT * FROM "removals"');
    expect(rows).toHaveLength(2);
    for (const { listHash, personHash, ...row } of rows) {
      expect([listHash, personHash].map(String)).toEqual([
        expect.stringMatching(/^[\w-]{16}$/),
        expect.stringMatching(/^[\w-]{43}$/),
      ]);
      expect(Object.keys(row).sort()).toEqual(['notedAt', 'returned', 'windows']);
      expect(row.windows).toMatch(/^\[\[\d+,\d+\]\]$/);
    }
    const [{ key }] = await source.query<[{ key: string }]>('SELECT "sealedKey" AS "key" FROM "hash_keys"');
    expect(key).toMatch(/^v1\./);
    expect(await source.query('SELECT 1 FROM "ledger_entries"')).toEqual([]);
  });
});

describe('what is remembered of removals', () => {
  it('is kept for SLUICE_REMOVAL_RETENTION_DAYS; after that an unsubscribe counts as the choice of the person', async () => {
    const calendar = createCalendar('2026-01-05T06:00:00Z');
    const env = { SLUICE_REMOVAL_RETENTION_DAYS: '100' };
    await using engine = await startEngine({ sluice: { ...calendar.options, env } });
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, people(10), LEAVERS);
    await runFully(sluice, exportId);
    await setMembers(sluice, upTo(10, [3, 4]));
    await runFully(sluice, exportId);
    await calendar.turnTo('2026-04-15T05:00:00Z');
    await setMembers(sluice, upTo(10, [4]));
    expect(await runFully(sluice, exportId)).toMatchObject({ state: 'SUCCEEDED' });
    await calendar.turnTo('2026-04-15T07:00:00Z');
    await setMembers(sluice, upTo(10));

    const run = await runFully(sluice, exportId);

    expect(await reasons(sluice, run)).toEqual([[emailOf(4), 'OPTED_OUT']]);
    expect(standings(sandbox, [3, 4])).toEqual([ON, OFF]);
    await using source = await connectIn(sluice.folder);
    expect(await source.query('SELECT 1 FROM "removals"')).toEqual([]);
  });

  it('is kept for three years by default', () => {
    expect(readConfig({}).removalRetentionDays).toBe(1_095);
    expect(() => readConfig({ SLUICE_REMOVAL_RETENTION_DAYS: '0' })).toThrow('SLUICE_REMOVAL_RETENTION_DAYS');
  });

  it('is kept when the same contact leaves again and again, as the latest five', async () => {
    await using rows = await openRunRows();
    const { database, run, services } = rows;
    for (let n = 1; n <= 7; n += 1) {
      await database.transact(({ manager }) =>
        rememberRemoval(services, manager, run, ['a', 'b'], [{ from: n, to: n + 1 }]),
      );
    }
    expect((await removalsOf(services, database.reader, run, 'a')).map(({ from }) => from)).toEqual([
      3, 4, 5, 6, 7,
    ]);
    expect(await removalsOf(services, database.reader, run, 'c')).toEqual([]);
  });

  it('is recognized after npm run rotate-keys, when the old key is gone', async () => {
    const [OLD, NEW] = [1, 2].map((byte) => Buffer.alloc(32, byte).toString('base64'));
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox();
    const start = (key = '') =>
      startSluice({ folder: folder.path, sandbox, env: { SLUICE_SECRET_KEY: key } });
    let connectionId: string;
    {
      await using sluice = await start(OLD);
      connectionId = await connectedConnection(sluice, sandbox);
      await removedExport({ sluice, sandbox, connectionId }, [3, 4]);
    }
    const settings = { ...(await settingsFor(folder.path)), SLUICE_SECRET_KEY: `${NEW},${OLD}` };
    expect(await rotateKeysOf(readConfig(settings), () => undefined)).toMatchObject({
      resealed: 2,
      unreadable: [],
    });
    await using sluice = await start(NEW);
    const second = await exportOfPeople({ sluice, connectionId }, [3, 4]);
    expect(await runFully(sluice, second)).toMatchObject({ state: 'SUCCEEDED', progress: { confirmed: 2 } });
    expect(standings(sandbox, [3, 4])).toEqual([ON, ON]);
  });

  onSqlite('is recognized after npm run move', async () => {
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox();
    await using database = await createPostgresDatabase();
    let connectionId: string;
    {
      await using sluice = await startSluice({ folder: folder.path, sandbox });
      connectionId = await connectedConnection(sluice, sandbox);
      await removedExport({ sluice, sandbox, connectionId }, [3, 4]);
    }
    await moveServer({
      from: { kind: 'sqlite', file: join(folder.path, 'sluice.db') },
      to: { kind: 'postgres', url: database.url },
      signal: new AbortController().signal,
      onStep: () => undefined,
    });
    const env = { DATABASE_URL: database.url };
    await using sluice = await startSluice({ folder: folder.path, sandbox, env });
    const second = await exportOfPeople({ sluice, connectionId }, [3, 4]);
    expect(await runFully(sluice, second)).toMatchObject({ state: 'SUCCEEDED', progress: { confirmed: 2 } });
    expect(standings(sandbox, [3, 4])).toEqual([ON, ON]);
  });
});

describe('the hash key', () => {
  it('is one, however many processes make it at once', async () => {
    await using folder = await temporaryFolder();
    const secretBox = createSecretBox([Buffer.alloc(32, 1).toString('base64')]);
    const logger = createLogger('silent');
    await using one = await openIn(folder.path);
    await using two = await openIn(folder.path);
    const hashes = await Promise.all(
      [one, two, one, two].map((database) => loadPersonHash({ database, secretBox, logger })),
    );
    expect(new Set(hashes.map((hash) => hash?.('a', 'b')))).toEqual(new Set([expect.any(String) as string]));
    expect(hashes[0]?.('a', 'b')).not.toBe(hashes[0]?.('ab'));
  });

  it('that cannot be opened keeps no server from starting; nobody is put back, and the log says so', async () => {
    const [OLD, NEW] = [1, 2].map((byte) => Buffer.alloc(32, byte).toString('base64'));
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox();
    const start = (key = '') =>
      startSluice({ folder: folder.path, sandbox, env: { SLUICE_SECRET_KEY: key } });
    let connectionId: string;
    let exportId: string;
    {
      await using sluice = await start(OLD);
      connectionId = await connectedConnection(sluice, sandbox);
      exportId = await exportOf({ sluice, connectionId }, people(10), LEAVERS);
      await runFully(sluice, exportId);
      await setMembers(sluice, upTo(10, [3]));
      await runFully(sluice, exportId);
    }
    {
      await using sluice = await start(NEW);
      expect(sluice.log).toContainEqual(
        expect.objectContaining({ level: 40, msg: expect.stringContaining('hash') as string }),
      );
      await connectionCalls(sluice).update(connectionId, { apiKey: sandbox.token });
      await connectionCalls(sluice).giveConsent(connectionId);
      await connectionCalls(sluice).connect(connectionId);
      await connectionCalls(sluice).becomeExportUser(connectionId);
      // 4 leaves while nothing can be noted.
      await setMembers(sluice, upTo(10, [4]));
      const run = await runFully(sluice, exportId);
      expect(await reasons(sluice, run)).toEqual([[emailOf(3), 'OPTED_OUT']]);
      await setMembers(sluice, upTo(10));
      expect(await reasons(sluice, await runFully(sluice, exportId))).toContainEqual([
        emailOf(4),
        'OPTED_OUT',
      ]);
      expect(standings(sandbox, [3, 4])).toEqual([OFF, OFF]);
    }
    // With the key, what was noted under it holds again.
    await using sluice = await start(`${NEW},${OLD}`);
    const { runExport } = await sluice.query<{ runExport: { id: string } }>(
      'mutation ($id: ID!) { runExport(exportId: $id, force: true) { id } }',
      { id: exportId },
    );
    expect(await reasons(sluice, await finish(sluice, runExport.id))).toEqual([[emailOf(4), 'OPTED_OUT']]);
    expect(standings(sandbox, [3, 4])).toEqual([ON, OFF]);
  });
});
