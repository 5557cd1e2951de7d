import { Registry } from 'prom-client';
import { systemClock } from '../src/clock.js';
import { Batch, BatchState } from '../src/entities/batch.js';
import { ExportRun } from '../src/entities/export-run.js';
import { createAddressHolds } from '../src/exports/address-holds.js';
import { insertBatches, newBatch } from '../src/exports/batch-rows.js';
import { createDecide } from '../src/exports/decisions.js';
import { beginTenure } from '../src/exports/fence.js';
import { createEngineMetrics } from '../src/exports/engine-metrics.js';
import type { WantedContact } from '../src/exports/mapping.js';
import { plannedAfter } from '../src/exports/planned.js';
import { RunMovedError } from '../src/exports/run-states.js';
import { openRunRows, type RunRows } from './helpers/run-rows.js';

const PEOPLE = ['a', 'b', 'c', 'd', 'e', 'f'];

/** Accepted batches of two people each, and how they are decided. */
async function threeBatches({ database, run, services, plan }: RunRows) {
  await plan(...PEOPLE.map((name): WantedContact => [`${name}@example.com`, '', '', '']));
  const entries = await plannedAfter(database.reader, run, '', PEOPLE.length);
  const batches = await database.transact(({ manager }) =>
    insertBatches(
      manager,
      [0, 2, 4].map((from) => newBatch(run, entries.slice(from, from + 2), BatchState.ACCEPTED, new Date(0))),
    ),
  );
  let told = 0;
  const hub = {
    changed: () => {
      told += 1;
    },
    subscribe: () => Promise.reject(new Error('nobody watches')),
    close: () => undefined,
  };
  const metrics = createEngineMetrics(new Registry(), systemClock);
  return {
    batches,
    decide: createDecide(
      { ...services, database, hub, metrics, tenure: await beginTenure(database, run.account) },
      run,
      createAddressHolds(),
    ),
    told: () => told,
  };
}

const settled = (batch: Batch) => ({
  batch,
  changes: { state: BatchState.SETTLED },
  confirmed: { windows: [] },
});

const states = async ({ database }: RunRows) =>
  (await database.reader.find(Batch, { order: { id: 'ASC' } })).map(({ state, confirmed }) => ({
    state,
    confirmed,
  }));
const SETTLED = { state: BatchState.SETTLED, confirmed: 2 };
const ACCEPTED = { state: BatchState.ACCEPTED, confirmed: 0 };

/** The first of a group is decided alone, at once: it keeps the others waiting, who are then decided together. */
describe('decisions about batches that come together', () => {
  it('count everybody once, for the run, for the batches, and for the worker who holds them', async () => {
    await using rows = await openRunRows();
    const { database, run } = rows;
    const { batches, decide, told } = await threeBatches(rows);
    await Promise.all(batches.map((batch) => decide(settled(batch))));
    expect(await states(rows)).toEqual([SETTLED, SETTLED, SETTLED]);
    expect(batches).toMatchObject([SETTLED, SETTLED, SETTLED]);
    expect(run.confirmed).toBe(6);
    expect(await database.reader.findOneByOrFail(ExportRun, { id: run.id })).toMatchObject({ confirmed: 6 });
    expect(told()).toBe(2);
  });

  it('stand or fall together when one fails: nothing of them is written, and nobody believes otherwise', async () => {
    await using rows = await openRunRows();
    const { database, run } = rows;
    const { batches, decide, told } = await threeBatches(rows);
    const [first, second, third] = batches as [Batch, Batch, Batch];
    const results = await Promise.allSettled([
      decide(settled(first)),
      decide(settled(second)),
      decide({ ...settled(third), people: () => Promise.reject(new Error('disk full')) }),
    ]);
    expect(results).toMatchObject([
      { status: 'fulfilled' },
      { reason: { message: 'disk full' } },
      { reason: { message: 'disk full' } },
    ]);
    expect(await states(rows)).toEqual([SETTLED, ACCEPTED, ACCEPTED]);
    expect(batches).toMatchObject([SETTLED, ACCEPTED, ACCEPTED]);
    expect(run.confirmed).toBe(2);
    expect(told()).toBe(1);
    const left = await plannedAfter(database.reader, run, '', PEOPLE.length);
    expect(left.map(({ emailKey }) => emailKey[0])).toEqual(['c', 'd', 'e', 'f']);

    await Promise.all([second, third].map((batch) => decide(settled(batch))));
    expect(await states(rows)).toEqual([SETTLED, SETTLED, SETTLED]);
    expect(run.confirmed).toBe(6);
  });

  it('are not written by a worker whose run somebody else has taken up', async () => {
    await using rows = await openRunRows();
    const { database, run } = rows;
    const { batches, decide, told } = await threeBatches(rows);
    await database.transact(({ manager }) => manager.update(ExportRun, { id: run.id }, { attempt: 2 }));
    const results = await Promise.allSettled(batches.map((batch) => decide(settled(batch))));
    for (const result of results) {
      expect(result).toMatchObject({ reason: expect.any(RunMovedError) as RunMovedError });
    }
    expect(await states(rows)).toEqual([ACCEPTED, ACCEPTED, ACCEPTED]);
    expect(await plannedAfter(database.reader, run, '', PEOPLE.length)).toHaveLength(6);
    expect(told()).toBe(0);
  });
});
