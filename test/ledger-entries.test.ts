import { AS_WANTED, Standing } from '../src/entities/ledger.js';
import { BatchState } from '../src/entities/batch.js';
import { insertBatches, newBatch } from '../src/exports/batch-rows.js';
import { ledgerPages } from '../src/exports/compare.js';
import { confirmEntries } from '../src/exports/decide-entries.js';
import type { WantedContact } from '../src/exports/mapping.js';
import { plannedAfter } from '../src/exports/planned.js';
import { openRunRows, type RunRows } from './helpers/run-rows.js';

const EMAIL = 'ann@example.com';
const ann = (...fields: [string | null, string | null, string | null]): WantedContact => [EMAIL, ...fields];

/** The destination confirms everybody who is planned. */
async function confirmAll({ database, run, services }: RunRows): Promise<Map<number, number>> {
  const entries = await plannedAfter(database.reader, run, '', 1_000);
  return database.transact(async ({ manager }) => {
    const batches = await insertBatches(manager, [newBatch(run, entries, BatchState.ACCEPTED, new Date(0))]);
    return confirmEntries(
      services,
      manager,
      run,
      batches.map((batch) => ({ batch, windows: [] })),
    );
  });
}

/** What the destination holds of Ann, as the next run reads it. */
async function deliveredOf({ database, run }: RunRows): Promise<WantedContact | null> {
  for await (const page of ledgerPages(database.scanner, run.ledgerId)) {
    const known = page.find(({ emailKey }) => emailKey === EMAIL);
    if (known?.delivered === null) return null;
    if (known !== undefined) return JSON.parse(known.delivered) as WantedContact;
  }
  throw new Error('The ledger does not know Ann');
}

/** Each of these is planned and confirmed, one after the other. */
async function afterRuns(rows: RunRows, ...contacts: WantedContact[]) {
  for (const contact of contacts) {
    await rows.plan(contact);
    await confirmAll(rows);
  }
}

describe('what was delivered to a contact', () => {
  it('is nothing until it is confirmed', async () => {
    await using rows = await openRunRows();
    await rows.plan(ann('Ann', 'Lee', ''));
    expect(await deliveredOf(rows)).toBeNull();
    expect(await rows.entry(EMAIL)).toMatchObject({ delivered: null, standing: Standing.NEVER_DELIVERED });
  });

  it('is what was wanted then, and is not written a second time', async () => {
    await using rows = await openRunRows();
    await afterRuns(rows, ann('Ann "the\nfirst" Ünal 😀', 'Lee', ''));
    expect(await rows.entry(EMAIL)).toMatchObject({ delivered: AS_WANTED, standing: Standing.ON_LIST });
    expect(await deliveredOf(rows)).toEqual(ann('Ann "the\nfirst" Ünal 😀', 'Lee', ''));
  });

  it('stays what it was while something else is wanted, and once that was confirmed is that', async () => {
    await using rows = await openRunRows();
    await afterRuns(rows, ann('Ann', 'Lee', ''));
    await rows.plan(ann('Anna', 'Lee', ''));
    expect(await deliveredOf(rows)).toEqual(ann('Ann', 'Lee', ''));
    await rows.plan(ann('Annabel', 'Lee', ''));
    expect(await deliveredOf(rows)).toEqual(ann('Ann', 'Lee', ''));
    await confirmAll(rows);
    expect(await deliveredOf(rows)).toEqual(ann('Annabel', 'Lee', ''));
  });

  it('stays when the same is planned again, by force', async () => {
    await using rows = await openRunRows();
    await afterRuns(rows, ann('Ann', 'Lee', ''), ann('Ann', 'Lee', ''));
    expect(await rows.entry(EMAIL)).toMatchObject({ delivered: AS_WANTED });
    expect(await deliveredOf(rows)).toEqual(ann('Ann', 'Lee', ''));
  });

  it('stays when somebody goes back to what was delivered without having been sent anything else', async () => {
    await using rows = await openRunRows();
    await afterRuns(rows, ann('Ann', 'Lee', ''));
    await rows.plan(ann('Anna', 'Lee', ''));
    await rows.plan(ann('Ann', 'Lee', ''));
    expect(await deliveredOf(rows)).toEqual(ann('Ann', 'Lee', ''));
  });

  it('keeps a field that is not mapped any more, also while the others change', async () => {
    await using rows = await openRunRows();
    await afterRuns(rows, ann('Ann', 'Lee', '555'), ann(null, 'Moore', '555'));
    expect(await deliveredOf(rows)).toEqual(ann('Ann', 'Moore', '555'));
    await afterRuns(rows, ann(null, 'Poe', null));
    expect(await deliveredOf(rows)).toEqual(ann('Ann', 'Poe', '555'));
  });

  it('has a field that was never mapped as unknown, and from the first time on as it was sent', async () => {
    await using rows = await openRunRows();
    await afterRuns(rows, ann('Ann', null, null));
    expect(await deliveredOf(rows)).toEqual(ann('Ann', null, null));
    await afterRuns(rows, ann('Ann', 'Lee', null));
    expect(await deliveredOf(rows)).toEqual(ann('Ann', 'Lee', null));
  });

  it('has a value that was cleared as empty, and remembers that it was sent', async () => {
    await using rows = await openRunRows();
    await afterRuns(rows, ann('Ann', 'Lee', '555'), ann('Ann', '', ''));
    expect(await deliveredOf(rows)).toEqual(ann('Ann', '', ''));
    expect(await rows.entry(EMAIL)).toMatchObject({ delivered: AS_WANTED, filled: 1, everSent: 7 });
  });

  it('is as wanted again once a field comes back that was not mapped for a while', async () => {
    await using rows = await openRunRows();
    await afterRuns(rows, ann('Ann', 'Lee', ''), ann(null, 'Moore', ''), ann('Ann', 'Moore', ''));
    expect(await rows.entry(EMAIL)).toMatchObject({ delivered: AS_WANTED });
    expect(await deliveredOf(rows)).toEqual(ann('Ann', 'Moore', ''));
  });
});

describe('batches that are confirmed together', () => {
  it('count their own people, and nobody beside their ranges is touched', async () => {
    await using rows = await openRunRows();
    const { database, run, services } = rows;
    const people = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `${name}@example.com`);
    await rows.plan(...people.map((email): WantedContact => [email, '', '', '']));
    const entries = await plannedAfter(database.reader, run, '', 10);
    const counts = await database.transact(async ({ manager }) => {
      const batches = await insertBatches(
        manager,
        // The third is not among those that arrived.
        [entries.slice(0, 2), entries.slice(2, 3), entries.slice(3, 4), entries.slice(4)].map((some) =>
          newBatch(run, some, BatchState.ACCEPTED, new Date(0)),
        ),
      );
      const arrived = batches.filter((_, index) => index !== 2);
      const counted = await confirmEntries(
        services,
        manager,
        run,
        arrived.map((batch) => ({ batch, windows: [] })),
      );
      return arrived.map(({ id }) => counted.get(id));
    });
    expect(counts).toEqual([2, 1, 2]);
    const left = await plannedAfter(database.reader, run, '', 10);
    expect(left.map(({ emailKey }) => emailKey)).toEqual(['d@example.com']);
  });
});
