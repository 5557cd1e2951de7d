import { jest } from '@jest/globals';
import { Registry } from 'prom-client';
import type { EntityManager } from 'typeorm';
import { instantOf, systemClock, type Instant } from '../src/clock.js';
import { Batch, BatchState } from '../src/entities/batch.js';
import {
  Connection,
  ConnectionSharing,
  ConnectionState,
  DestinationKind,
} from '../src/entities/connection.js';
import { ExportRun } from '../src/entities/export-run.js';
import { createAddressHolds } from '../src/exports/address-holds.js';
import { planBatch } from '../src/exports/batch-rows.js';
import { isFresh, prove } from '../src/exports/call-destination.js';
import { followUp } from '../src/exports/confirm.js';
import { createDecide } from '../src/exports/decisions.js';
import { createEngineMetrics } from '../src/exports/engine-metrics.js';
import { beginTenure, RunTakenError, transactAs } from '../src/exports/fence.js';
import { plannedAfter } from '../src/exports/planned.js';
import type { RunContext } from '../src/exports/run-context.js';
import { handOver } from '../src/exports/send.js';
import { openRunRows } from './helpers/run-rows.js';

const CONNECTION = {
  id: 'connection',
  displayName: 'c',
  kind: DestinationKind.ACTIVE_CAMPAIGN,
  sharing: ConnectionSharing.ADMINISTRATORS,
  state: ConnectionState.CONNECTED,
  host: 'h',
  sealedApiKey: 's',
  revision: 1,
  profileLimit: 1,
  createdAt: new Date(0),
  updatedAt: new Date(0),
};
/** What is looked at of one that may be used. */
const GOOD = {
  consented: true,
  state: 'CONNECTED',
  problem: null,
  exportUserId: 'u',
  disabled: false,
  role: 'ADMINISTRATOR',
};

/** So long ago by both clocks. */
function agoBy(ms: number): Instant {
  const { wallMs, monotonicMs } = instantOf(systemClock);
  return { wallMs: wallMs - ms, monotonicMs: monotonicMs - ms };
}

describe('a pump that was thought dead', () => {
  it('writes nothing any more once another has begun to pump the account', async () => {
    await using rows = await openRunRows();
    const { database, run } = rows;
    const old = { database, tenure: await beginTenure(database, run.account) };
    const write = (tenant: typeof old, figure: number) =>
      transactAs(tenant, run, ({ manager }) => manager.update(ExportRun, run.id, { skipped: figure }));
    await write(old, 1);
    const present = { database, tenure: await beginTenure(database, run.account) };
    await expect(write(old, 2)).rejects.toThrow(RunTakenError);
    expect((await database.reader.findOneByOrFail(ExportRun, { id: run.id })).skipped).toBe(1);
    await write(present, 3);
    expect((await database.reader.findOneByOrFail(ExportRun, { id: run.id })).skipped).toBe(3);
  });

  it('writes nothing any more once the run was taken up again', async () => {
    await using rows = await openRunRows();
    const { database, run } = rows;
    const tenant = { database, tenure: await beginTenure(database, run.account) };
    await database.transact(({ manager }) => manager.update(ExportRun, run.id, { attempt: 2 }));
    const write = transactAs(tenant, run, ({ manager }) => manager.update(ExportRun, run.id, { skipped: 1 }));
    await expect(write).rejects.toThrow(RunTakenError);
    expect((await database.reader.findOneByOrFail(ExportRun, { id: run.id })).skipped).toBe(0);
  });

  it('never makes tenures of one account the same, however many begin at once', async () => {
    await using rows = await openRunRows();
    const tenures = await Promise.all([1, 2, 3, 4, 5].map(() => beginTenure(rows.database, 'a')));
    expect(tenures.sort()).toEqual([1, 2, 3, 4, 5]);
    expect(await beginTenure(rows.database, 'b')).toBe(1);
  });

  it('asks nothing any more about what it sent', async () => {
    await using rows = await openRunRows();
    const { database, run } = rows;
    await database.transact(({ manager }) =>
      manager.save(Connection, { ...CONNECTION, account: run.account }),
    );
    const old = { database, tenure: await beginTenure(database, run.account) };
    await beginTenure(database, run.account);
    let questions = 0;
    const context = {
      services: { ...old, clock: systemClock, secretBox: { open: () => 'key' } },
      run,
      limits: { firstOutcomeMs: 0, lostAfterMs: 0 },
      turns: { take: (_request: unknown, perform: () => Promise<unknown>) => perform() },
      asking: new AbortController(),
      urgency: () => 0,
      destination: {
        outcome: () => {
          questions += 1;
          return Promise.reject(new Error('It must not be asked.'));
        },
      },
    } as unknown as RunContext;
    const batch = Object.assign(new Batch(), { receipt: 'r', acceptedAt: new Date(), begunAt: null });
    await expect(followUp(context, batch, { isResumed: true })).rejects.toThrow(RunTakenError);
    expect(questions).toBe(0);
  });
});

describe('a process that stood still between its proof and its request', () => {
  it('does not begin the request: the batch waits to be sent, and nobody thinks that it may have arrived', async () => {
    await using rows = await openRunRows();
    const { database, run } = rows;
    await rows.plan(['a@example.com', '', '', '']);
    const tenant = { database, tenure: await beginTenure(database, run.account) };
    const entries = await plannedAfter(database.scanner, run, '', 10);
    const batch = await transactAs(tenant, run, (transaction) =>
      planBatch(transaction, run, entries, new Date()),
    );
    let requests = 0;
    const context = {
      services: { ...tenant, hub: { changed: () => undefined }, clock: systemClock },
      run,
      destination: {
        send: () => {
          requests += 1;
          return Promise.reject(new Error('It must not be sent.'));
        },
      },
    };
    const metrics = createEngineMetrics(new Registry(), systemClock);
    const decide = createDecide(
      { ...rows.services, ...tenant, metrics, hub: context.services.hub as never },
      run,
      createAddressHolds(),
    );
    const parcel = { batch, entries, failures: 0, dueAt: 0 };
    const intent = {
      batch: Object.assign(batch, { state: BatchState.SENDING }),
      credentials: { host: 'a', apiKey: 'b' },
      provenAt: agoBy(5_000),
    };
    const commit = await handOver({ ...context, decide } as unknown as RunContext, parcel, intent);
    expect(await commit()).toMatchObject({ again: [{ entries }] });
    expect(requests).toBe(0);
    expect(batch).toMatchObject({ state: BatchState.PLANNED, mayHaveArrived: false });
  });

  it('does not take an answer for fresh that had been waiting for it', async () => {
    const clock = jest.spyOn(systemClock, 'now').mockReturnValue(1_000_000);
    const answers = [
      [{ tenure: 1 }],
      [{ runState: 'RUNNING', attachedTo: 'c', id: 'c', host: 'h', sealedApiKey: 's', revision: 1, ...GOOD }],
    ];
    const manager = {
      query: () => {
        clock.mockReturnValue(systemClock.now() + 30_000);
        return Promise.resolve(answers.shift());
      },
    };
    try {
      const context = {
        run: { id: 'run', account: 'a', attempt: 1, connectionRevision: 1 },
        services: { tenure: 1, secretBox: { open: () => 'key' } },
      };
      const proof = await prove(manager as unknown as EntityManager, context as unknown as RunContext);
      expect('provenAt' in proof && isFresh(proof)).toBe(false);
    } finally {
      clock.mockRestore();
    }
  });

  it('relies on what was proven a moment ago, and on nothing from the future', () => {
    expect(isFresh({ provenAt: agoBy(1_000) })).toBe(true);
    expect(isFresh({ provenAt: agoBy(4_500) })).toBe(false);
    expect(isFresh({ provenAt: agoBy(-60_000) })).toBe(false);
  });

  it('relies on a proof only while the wall clock and the monotonic clock both call it fresh', () => {
    const { wallMs, monotonicMs } = agoBy(1_000);
    const isFreshSince = (wallAgeMs: number, monotonicAgeMs: number) =>
      isFresh({ provenAt: { wallMs: wallMs - wallAgeMs, monotonicMs: monotonicMs - monotonicAgeMs } });
    expect(isFreshSince(0, 0)).toBe(true);
    // A suspended machine, or a wall clock that was put forward.
    expect(isFreshSince(600_000, 0)).toBe(false);
    // A process that stood still while the wall clock was put back: by as much, and by more.
    expect(isFreshSince(0, 600_000)).toBe(false);
    expect(isFreshSince(-1_200_000, 600_000)).toBe(false);
    // The wall clock was put back, and no time has passed.
    expect(isFreshSince(-600_000, 0)).toBe(false);
  });
});
