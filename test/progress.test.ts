import type { EntityManager } from 'typeorm';
import { ExportRun, ExportRunState } from '../src/entities/export-run.js';
import { createProgressHub } from '../src/exports/progress-hub.js';
import { NO_WIRE } from '../src/wire.js';
import { createLogger } from '../src/logger.js';
import { exportOf, people, runFully, startEngine, stoppedTime } from './helpers/engine.js';
import { startRun } from './helpers/flows.js';
import { createManualClock } from './helpers/manual-clock.js';
import type { Sluice } from './helpers/sluice.js';

interface Event {
  readonly id: string;
  readonly state: string;
  readonly phase: string | null;
  readonly progress: {
    readonly sequence: number;
    readonly percent: number | null;
    readonly etaSeconds: number | null;
    readonly confirmed: number;
    readonly toSend: number;
  };
}

async function* changes(
  sluice: Sluice,
  filter: { runId?: string; exportId?: string },
): AsyncGenerator<Event> {
  const events = sluice.subscribe<{ exportRunChanged: Event }>(
    `subscription ($runId: ID, $exportId: ID) {
      exportRunChanged(runId: $runId, exportId: $exportId) {
        id state phase progress { sequence percent etaSeconds confirmed toSend }
      }
    }`,
    filter,
  );
  for await (const { exportRunChanged } of events) yield exportRunChanged;
}

describe('the progress of a run, watched over WebSocket', () => {
  it('begins with the run as it is, grows, and ends with its final state', async () => {
    const time = stoppedTime();
    await using engine = await startEngine({ sandbox: time.sandbox });
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(2_000));
    const all = sandbox.next('accepted', () => sandbox.batches().length === 8);
    const runId = await startRun(sluice, exportId);
    await all;
    const seen: Event[] = [];
    for await (const event of changes(sluice, { runId })) {
      seen.push(event);
      time.letGo();
    }
    const [first, last] = [seen[0], seen.at(-1)];
    expect(first).toMatchObject({
      id: runId,
      state: 'RUNNING',
      progress: { toSend: 2_000, confirmed: 0, percent: 0 },
    });
    expect(last).toMatchObject({
      state: 'SUCCEEDED',
      phase: null,
      progress: { confirmed: 2_000, percent: 100, etaSeconds: null },
    });
    const sequences = seen.map(({ progress }) => progress.sequence);
    expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b));
    const confirmed = seen.map(({ progress }) => progress.confirmed);
    expect(confirmed).toEqual([...confirmed].sort((a, b) => a - b));
    expect(seen.filter(({ state }) => state === 'SUCCEEDED')).toHaveLength(1);
  });

  it('is one event, the final state, for a run that has ended', async () => {
    await using engine = await startEngine();
    const run = await runFully(engine.sluice, await exportOf(engine, people(3)));
    const seen: string[] = [];
    for await (const { state } of changes(engine.sluice, { runId: run.id })) seen.push(state);
    expect(seen).toEqual(['SUCCEEDED']);
  });

  it('of all runs of an export goes on from one run to the next', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    const exportId = await exportOf(engine, people(3));
    const first = await runFully(sluice, exportId);
    const ended: string[] = [];
    let second: string | undefined;
    for await (const { id, state } of changes(sluice, { exportId })) {
      if (state === 'SUCCEEDED') ended.push(id);
      if (ended.length === 2) break;
      second ??= await startRun(sluice, exportId);
    }
    expect(ended).toEqual([first.id, second]);
  });

  it('of everything begins with what is under way, and tells of the runs of every export', async () => {
    const time = stoppedTime();
    await using engine = await startEngine({ sandbox: time.sandbox });
    const { sluice } = engine;
    const [one, other] = [await exportOf(engine, people(3)), await exportOf(engine, people(3))];
    const started = [await startRun(sluice, one)];
    const ended: string[] = [];
    for await (const { id, state } of changes(sluice, {})) {
      if (started.length === 1) {
        expect(id).toBe(started[0]);
        started.push(await startRun(sluice, other));
      }
      time.letGo();
      if (state === 'SUCCEEDED') ended.push(id);
      if (ended.length === 2) break;
    }
    expect(ended.sort()).toEqual(started.sort());
  });

  it('is NOT_FOUND for a run or an export that does not exist', async () => {
    await using engine = await startEngine();
    for (const filter of [{ runId: 'nothing' }, { exportId: 'nothing' }]) {
      const watching = (async () => {
        for await (const event of changes(engine.sluice, filter)) return event;
        return undefined;
      })();
      await expect(watching).rejects.toMatchObject({ code: 'NOT_FOUND' });
    }
  });
});

describe('the hub', () => {
  /** A hub over one run, whose row `change` moves on. */
  function watched() {
    const clock = createManualClock();
    let row = Object.assign(new ExportRun(), {
      id: 'run',
      exportId: 'export',
      state: ExportRunState.RUNNING,
      sequence: 1,
    });
    let reads = 0;
    const reader = {
      findOneBy: () => {
        reads += 1;
        return Promise.resolve(Object.assign(new ExportRun(), row));
      },
      findBy: () => {
        reads += 1;
        return Promise.resolve([Object.assign(new ExportRun(), row)]);
      },
    };
    const hub = createProgressHub({
      reader: reader as unknown as EntityManager,
      clock,
      logger: createLogger('silent'),
      wire: NO_WIRE,
    });
    return {
      clock,
      hub,
      reads: () => reads,
      change: (state = ExportRunState.RUNNING) => {
        row = Object.assign(new ExportRun(), row, { state, sequence: row.sequence + 1 });
        hub.changed('run');
      },
    };
  }

  it('tells of a run four times in any second at most, and of its end whatever came before', async () => {
    const { clock, hub, change } = watched();
    const stream = await hub.subscribe({ runId: 'run' });
    const moments: number[] = [];
    let last: ExportRun | undefined;
    const reading = (async () => {
      for await (const run of stream) {
        last = run;
        moments.push(clock.now());
      }
    })();
    for (let n = 0; n < 300; n += 1) {
      change();
      await clock.pass(10);
    }
    change(ExportRunState.FAILED);
    await clock.pass(1_000);
    await reading;
    expect(last).toMatchObject({ state: ExportRunState.FAILED, sequence: 302 });
    const busiest = Math.max(
      ...moments.map((from) => moments.filter((at) => at >= from && at < from + 1_000).length),
    );
    expect(busiest).toBeLessThanOrEqual(4);
    // Nor does it sleep: three seconds are worth more than a handful of events.
    expect(moments.length).toBeGreaterThanOrEqual(9);
  });

  it('lets a slow reader skip what came in between, never the end', async () => {
    const { clock, hub, change } = watched();
    const stream = await hub.subscribe({ runId: 'run' });
    expect((await stream.next()).value).toMatchObject({ sequence: 1 });
    for (let n = 0; n < 50; n += 1) {
      change();
      await clock.pass(1_000);
    }
    expect((await stream.next()).value).toMatchObject({ sequence: 51 });
    change();
    await clock.pass(1_000);
    change(ExportRunState.SUCCEEDED);
    await clock.pass(1_000);
    expect((await stream.next()).value).toMatchObject({ sequence: 53, state: ExportRunState.SUCCEEDED });
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  it('tells nothing twice', async () => {
    const { clock, hub, change } = watched();
    const stream = await hub.subscribe({ runId: 'run' });
    expect((await stream.next()).value).toMatchObject({ sequence: 1 });
    const following = stream.next();
    hub.changed('run');
    await clock.pass(1_000);
    change();
    await clock.pass(1_000);
    expect((await following).value).toMatchObject({ sequence: 2 });
  });

  it('reads a run once for all who watch it, and not at all when nobody does', async () => {
    const { clock, hub, reads, change } = watched();
    change();
    await clock.pass(1_000);
    expect(reads()).toBe(0);
    const streams = await Promise.all([1, 2, 3].map(() => hub.subscribe({ runId: 'run' })));
    const before = reads();
    change();
    await clock.pass(1_000);
    expect(reads() - before).toBe(1);
    for (const stream of streams) await stream.return?.();
  });

  it('ends every stream when it closes', async () => {
    const { hub } = watched();
    const stream = await hub.subscribe({ runId: 'run' });
    await stream.next();
    const waiting = stream.next();
    hub.close();
    expect(await waiting).toEqual({ done: true, value: undefined });
  });
});
