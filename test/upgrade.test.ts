import type { Sandbox } from '../sandbox/sandbox.js';
import {
  OLD_SECRET_KEY,
  readOldDatabase,
  storeOldDatabase,
  valuesOf,
  type OldDatabase,
} from './helpers/database-0.1.0.js';
import { connectIn } from './helpers/databases.js';
import { finish, rejectionsOf, runFully } from './helpers/engine.js';
import { createExportOf, segmentNamed } from './helpers/flows.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { startSluice, temporaryFolder, type Sluice } from './helpers/sluice.js';

/*
 * A database of version 0.1.0 with a run under way (test/fixtures/README.md) is upgraded: the run goes on from what is
 * stored, and what the old version knew of people is still known.
 */

const LIST = 1;
const ON = 1;
const OFF = 2;
const BEGIN = Date.parse('2026-11-30T10:00:10Z');
const REMOVAL = Date.parse('2026-11-30T10:01:36Z');
const OPT_OUT = Date.parse('2026-11-30T10:11:42Z');
const RUN = Date.parse('2026-11-30T10:12:56Z');

const person = (n: number) => `p${String(n).padStart(4, '0')}@example.com`;

/** Hands contacts to the importer as version 0.1.0 did. @returns the receipt. */
async function importContacts(sandbox: Sandbox, contacts: readonly object[]): Promise<string> {
  const response = await fetch(`${sandbox.url}/api/3/import/bulk_import`, {
    method: 'POST',
    headers: { 'api-token': sandbox.token, 'content-type': 'application/json' },
    body: JSON.stringify({ contacts }),
  });
  const { batchId } = (await response.json()) as { batchId: string };
  return batchId;
}

function contactOf(wanted: string, list: 'subscribe' | 'unsubscribe') {
  const [email, first_name, last_name, phone] = JSON.parse(wanted) as string[];
  const lists = { [list]: [{ listid: LIST }] };
  return list === 'subscribe' ? { email, first_name, last_name, phone, ...lists } : { email, ...lists };
}

/** A sandbox in the state that version 0.1.0 left behind; its time then goes on by itself. */
async function sandboxOf(old: OldDatabase) {
  let now = BEGIN;
  let isStopped = true;
  const zero = performance.now();
  const sandbox = await startTestSandbox({
    quotas: false,
    processingMs: 0,
    // Version 0.1.0 was confirmed a domain in its own script.
    unicodeDomains: 'imported',
    timeScale: 1,
    now: () => (isStopped ? now : RUN + (performance.now() - zero) * 100_000),
  });
  const at = async (moment: number, contacts: readonly object[]) => {
    now = moment;
    const receipt = await importContacts(sandbox, contacts);
    now += 1_000;
    sandbox.tick();
    return receipt;
  };
  const entries = valuesOf(old, 'ledger_entries', [
    'ledgerId',
    'emailKey',
    'wanted',
    'delivered',
    'standing',
  ]);
  const delivered = entries.filter(([, , , held]) => held !== null);
  for (let from = 0; from < delivered.length; from += 250) {
    await at(
      BEGIN,
      delivered.slice(from, from + 250).map(([, , wanted]) => contactOf(String(wanted), 'subscribe')),
    );
  }
  const removed = delivered.filter(([, , , , standing]) => standing === 2);
  const isLeaverOfRun = ([, key]: (typeof entries)[number]) =>
    [21, 22, 23, 24, 25].map(person).includes(String(key));
  await at(
    REMOVAL,
    removed
      .filter((entry) => !isLeaverOfRun(entry))
      .map(([, , wanted]) => contactOf(String(wanted), 'unsubscribe')),
  );
  now = OPT_OUT;
  sandbox.unsubscribe(person(1), LIST, { reason: 'no more' });
  await at(
    RUN - 5_000,
    removed.filter(isLeaverOfRun).map(([, , wanted]) => contactOf(String(wanted), 'unsubscribe')),
  );
  const receipts = new Map<number, string>();
  for (const [id, state, fromKey, toKey] of valuesOf(old, 'batches', ['id', 'state', 'fromKey', 'toKey'])) {
    if (state !== 'ACCEPTED') continue;
    const inBatch = entries.filter(([ledger, key]) => {
      return ledger === 1 && String(key) >= String(fromKey) && String(key) <= String(toKey);
    });
    const contacts = inBatch.map(([, , wanted]) => contactOf(String(wanted), 'subscribe'));
    receipts.set(Number(id), await at(RUN, contacts));
  }
  return {
    sandbox,
    receipts,
    letGo: () => {
      isStopped = false;
    },
  };
}

interface Statement {
  readonly sql: string;
  readonly parameters: unknown[];
}

/**
 * The upgraded server, with the run that was under way, and the exports by name.
 * @param changes to what version 0.1.0 had stored.
 */
async function upgrade(folder: string, changes: readonly Statement[] = []) {
  const old = readOldDatabase();
  const { sandbox, receipts, letGo } = await sandboxOf(old);
  await storeOldDatabase(folder, old, [
    { sql: 'UPDATE "connections" SET "host" = $1', parameters: [sandbox.host] },
    ...[...receipts].map(([id, receipt]) => ({
      sql: 'UPDATE "batches" SET "receipt" = $1 WHERE "id" = $2',
      parameters: [receipt, id],
    })),
    ...changes,
  ]);
  letGo();
  const sluice = await startSluice({ folder, sandbox, env: { SLUICE_SECRET_KEY: OLD_SECRET_KEY } });
  const running = valuesOf(old, 'export_runs', ['id', 'state']).find(([, state]) => state === 'RUNNING');
  const exports = new Map(
    valuesOf(old, 'exports', ['name', 'id']).map(([name, id]) => [String(name), String(id)]),
  );
  return {
    sandbox,
    sluice,
    runId: String(running?.[0]),
    exportOf: (name: 'A' | 'B') => exports.get(name) ?? '',
    [Symbol.asyncDispose]: async () => {
      await sluice.stop();
      await sandbox[Symbol.asyncDispose]();
    },
  };
}

const standingOf = (sandbox: Sandbox, n: number) =>
  sandbox.contact(person(n))?.lists.find(({ list }) => list === LIST)?.status;

/** Makes these people, and the three with an address outside ASCII, the members of `All`. */
async function setMembers(sluice: Sluice, ns: readonly number[]): Promise<void> {
  await sluice.importCsv(['id', ...ns, ''].join('\n'), { segment: 'All' });
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe('a database of version 0.1.0', () => {
  it('is upgraded with a run under way, which loses nobody', async () => {
    await using folder = await temporaryFolder();
    await using upgraded = await upgrade(folder.path);
    const { sandbox, sluice, runId } = upgraded;
    const run = await finish(sluice, runId);
    expect(run).toMatchObject({
      state: 'SUCCEEDED_WITH_WARNINGS',
      problem: null,
      attempt: 2,
      progress: { toSend: 1_007, leavers: 5, confirmed: 1_006, rejected: 1, unconfirmed: 0, notSent: 0 },
    });
    expect((await rejectionsOf(sluice, runId)).map(({ email, reason }) => [email, reason])).toEqual([
      [person(1), 'OPTED_OUT'],
    ]);
    expect(range(101, 1_100).filter((n) => standingOf(sandbox, n) !== ON)).toEqual([]);
    expect(sandbox.contact(person(30))?.firstName).toBe('Changed 30');
    expect([...range(1, 10), ...range(21, 25)].filter((n) => standingOf(sandbox, n) !== OFF)).toEqual([]);
    expect(sandbox.summary().invariants).toMatchObject({ overriddenOptOuts: 0, overlapsNotExcused: 0 });
  });

  it('still knows who was delivered, so that the next runs change nothing and remove nobody', async () => {
    await using folder = await temporaryFolder();
    await using upgraded = await upgrade(folder.path);
    const { sandbox, sluice, runId, exportOf } = upgraded;
    await finish(sluice, runId);
    const next = await runFully(sluice, exportOf('A'));
    expect(next.progress).toMatchObject({ leavers: 0, rejected: 1, unconfirmed: 0, notSent: 0 });
    const other = await runFully(sluice, exportOf('B'));
    expect(other).toMatchObject({ state: 'SUCCEEDED', progress: { leavers: 0, unconfirmed: 0 } });
    expect([...sandbox.contacts()].filter(({ lists }) => lists[0]?.status === ON)).toHaveLength(1_070 - 15);
  });

  it('still knows whom it removed: they return, but for the one who opted out', async () => {
    await using folder = await temporaryFolder();
    await using upgraded = await upgrade(folder.path);
    const { sandbox, sluice, runId, exportOf } = upgraded;
    await finish(sluice, runId);
    await setMembers(sluice, [...range(1, 60), ...range(101, 1_100)]);
    const back = await runFully(sluice, exportOf('A'));
    expect(back).toMatchObject({
      state: 'SUCCEEDED_WITH_WARNINGS',
      progress: { toSend: 15, confirmed: 14, rejected: 1, leavers: 0 },
    });
    expect(standingOf(sandbox, 1)).toBe(OFF);
    expect([...range(2, 10), ...range(21, 25)].filter((n) => standingOf(sandbox, n) !== ON)).toEqual([]);
    expect(sandbox.summary().invariants.overriddenOptOuts).toBe(0);
  });

  it('still knows whom it removed after their export was removed, and nothing of them stays in the ledger', async () => {
    await using folder = await temporaryFolder();
    await using upgraded = await upgrade(folder.path);
    const { sandbox, sluice, runId, exportOf } = upgraded;
    await finish(sluice, runId);
    await using source = await connectIn(folder.path);
    expect(await source.query('SELECT 1 FROM "ledger_entries" WHERE "removals" IS NOT NULL')).toEqual([]);
    await sluice.query('mutation ($id: ID!) { removeExport(id: $id) }', { id: exportOf('A') });
    await setMembers(sluice, [...range(1, 10), ...range(21, 25)]);
    const { connections } = await sluice.query<{ connections: { nodes: { id: string }[] } }>(
      '{ connections { nodes { id } } }',
    );
    const another = await createExportOf(sluice, {
      connectionId: connections.nodes[0]?.id ?? '',
      segmentIds: [await segmentNamed(sluice, 'All')],
      name: 'Another',
    });
    const back = await runFully(sluice, another);
    expect(back).toMatchObject({ progress: { toSend: 15, confirmed: 14, rejected: 1 } });
    expect((await rejectionsOf(sluice, back.id)).map(({ email, reason }) => [email, reason])).toEqual([
      [person(1), 'OPTED_OUT'],
    ]);
    expect([...range(2, 10), ...range(21, 25)].filter((n) => standingOf(sandbox, n) !== ON)).toEqual([]);
    expect(sandbox.summary().invariants.overriddenOptOuts).toBe(0);
  }, 60_000);

  it('leaves a field alone whose value has become empty because nobody can see it', async () => {
    await using folder = await temporaryFolder();
    const attributes = (n: number, firstName: string, lastName = `Last ${n}`) =>
      JSON.stringify({ email: person(n), first_name: firstName, last_name: lastName, phone: `555-${n}` });
    const profile = (n: number) => ({
      sql: 'UPDATE "profiles" SET "attributes" = $1 WHERE "id" = $2',
      parameters: [attributes(n, '\u00a0'), String(n)],
    });
    await using upgraded = await upgrade(folder.path, [
      // It was delivered like this, and somebody has corrected it at the destination.
      ...[35, 36].map(profile),
      ...[35, 36].map((n) => ({
        sql: 'UPDATE "ledger_entries" SET "wanted" = $1 WHERE "emailKey" = $2',
        parameters: [JSON.stringify([person(n), '\u00a0', `Last ${n}`, `555-${n}`]), person(n)],
      })),
      // An import had changed it, and no run has seen that.
      ...[37].map(profile),
    ]);
    const { sandbox, sluice, runId, exportOf } = upgraded;
    await finish(sluice, runId);
    const namesOf = (n: number) => [
      sandbox.contact(person(n))?.firstName,
      sandbox.contact(person(n))?.lastName,
    ];

    await runFully(sluice, exportOf('A'));
    for (const n of [35, 36, 37]) expect(namesOf(n)).toEqual([`First ${n}`, `Last ${n}`]);
    // The next runs have nothing to do for them.
    const next = await runFully(sluice, exportOf('A'));
    expect(next.progress).toMatchObject({ toSend: 1, rejected: 1 });
    const { profileAttributes } = await sluice.query<{
      profileAttributes: { name: string; filled: number }[];
    }>('{ profileAttributes { name filled } }');
    expect(profileAttributes.find(({ name }) => name === 'first_name')?.filled).toBe(1_070 - 3);

    await sluice.importCsv('id,last_name\n35,Changed\n37,Changed\n');
    await sluice.importCsv('id,first_name\n36,Ann\n');
    await runFully(sluice, exportOf('A'));
    expect([35, 36, 37].map(namesOf)).toEqual([
      ['First 35', 'Changed'],
      ['Ann', 'Last 36'],
      ['First 37', 'Changed'],
    ]);
    // What was visible and has been sent is cleared, as ever.
    await sluice.importCsv('id,first_name\n36,\u00a0\n');
    await runFully(sluice, exportOf('A'));
    expect(namesOf(36)).toEqual(['', 'Last 36']);
  }, 60_000);
});
