import { join } from 'node:path';
import { compareUtf8 } from '../src/bulk-sql.js';
import { openDatabase, type Database } from '../src/database.js';
import { ExportRun } from '../src/entities/export-run.js';
import { LedgerEntry, StagedMember } from '../src/entities/ledger.js';
import { Rejection } from '../src/entities/rejection.js';
import { clearStaging, createStaging, rangesOf, stageChunk, writeRange } from '../src/exports/staging.js';
import { dataModel } from '../src/server/data-model.js';
import { temporaryFolder } from './helpers/sluice.js';

const LEDGER = 1;
const runNumber = (number: number) =>
  Object.assign(new ExportRun(), { id: `run ${number}`, number, ledgerId: LEDGER });

interface Person {
  readonly id: string;
  readonly email: string;
}

/** Stages the people in chunks and writes them into the ledger. Answers what each range brought. */
async function write(database: Database, run: ExportRun, people: readonly Person[], chunkSize: number) {
  const staging = createStaging();
  for (let at = 0; at < people.length; at += chunkSize) {
    const members = people.slice(at, at + chunkSize).map(({ id, email }) => ({
      profileId: id,
      emailKey: email.toLowerCase(),
      wanted: [email, `Name of ${id}`, null, null] as const,
    }));
    await database.transact(({ manager }) => stageChunk(manager, LEDGER, staging, members));
  }
  const counts = [];
  for (const range of rangesOf(staging)) {
    counts.push(await database.transact(({ manager }) => writeRange(manager, run, staging, range)));
  }
  await clearStaging(database, LEDGER);
  return counts;
}

const total = (counts: readonly { planned: number; duplicates: number }[]) => ({
  planned: counts.reduce((sum, { planned }) => sum + planned, 0),
  duplicates: counts.reduce((sum, { duplicates }) => sum + duplicates, 0),
});

describe('writing members into the ledger', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let database: Database;
  beforeEach(async () => {
    folder = await temporaryFolder();
    database = await openDatabase(join(folder.path, 'sluice.db'), dataModel);
  });
  afterEach(async () => {
    await database.close();
    await folder[Symbol.asyncDispose]();
  });

  it('plans each address once, for the first of its profiles by id, over many chunks and ranges', async () => {
    const addresses = 20_000;
    // Every third address is there twice, far apart; the later profile often has the smaller id.
    const people = Array.from({ length: addresses + 6_000 }, (_, n) => {
      const address = n < addresses ? (n * 7_919) % addresses : ((n - addresses) * 3) % addresses;
      return { id: `id${(n * 104_729) % 1_000_003}`, email: `P${address}@example.com` };
    });
    const first = new Map<string, string>();
    for (const { id, email } of people) {
      const known = first.get(email.toLowerCase());
      if (known === undefined || compareUtf8(id, known) < 0) first.set(email.toLowerCase(), id);
    }
    const counts = await write(database, runNumber(1), people, 5_000);
    expect(counts.length).toBeGreaterThan(1);
    expect(total(counts)).toEqual({ planned: addresses, duplicates: 6_000 });
    const entries = await database.reader.find(LedgerEntry);
    expect(new Map(entries.map(({ emailKey, profileId }) => [emailKey, profileId]))).toEqual(first);
    expect(
      entries.every(
        ({ plannedRun, delivered, everSent }) => plannedRun === 1 && delivered === null && everSent === 0,
      ),
    ).toBe(true);
    const rejected = await database.reader.find(Rejection);
    expect(rejected.length).toBe(6_000);
    expect(
      rejected.every(({ email, detail, profileId }) => {
        const winner = first.get(email?.toLowerCase() ?? '');
        return winner !== profileId && detail === `The profile ${winner ?? ''} has the same address.`;
      }),
    ).toBe(true);
    expect(await database.reader.count(StagedMember)).toBe(0);
  });

  it('keeps what was delivered and ever sent when a later run plans the same address', async () => {
    await write(database, runNumber(1), [{ id: '1', email: 'a@b.cd' }], 10);
    await database.transact(({ manager }) =>
      manager.update(
        LedgerEntry,
        { emailKey: 'a@b.cd' },
        { plannedRun: null, delivered: '["x"]', everSent: 5 },
      ),
    );
    expect(await write(database, runNumber(2), [{ id: '2', email: 'A@b.cd' }], 10)).toEqual([
      { planned: 1, unchanged: 0, duplicates: 0 },
    ]);
    expect(await database.reader.find(LedgerEntry)).toEqual([
      expect.objectContaining({
        emailKey: 'a@b.cd',
        profileId: '2',
        plannedRun: 2,
        wanted: '["A@b.cd","Name of 2",null,null]',
        delivered: '["x"]',
        everSent: 5,
      }),
    ]);
  });

  it('writes nothing for nobody', async () => {
    expect(await write(database, runNumber(1), [], 10)).toEqual([]);
  });

  it('forgets what a broken-off preparation staged for the same ledger, and no other', async () => {
    const staging = createStaging();
    const member = { emailKey: 'a@b.cd', profileId: '1', wanted: ['a@b.cd', null, null, null] as const };
    await database.transact(async ({ manager }) => {
      await stageChunk(manager, LEDGER, staging, [member]);
      await stageChunk(manager, LEDGER + 1, staging, [member]);
    });
    await clearStaging(database, LEDGER);
    expect((await database.reader.find(StagedMember)).map(({ ledgerId }) => ledgerId)).toEqual([LEDGER + 1]);
  });
});
