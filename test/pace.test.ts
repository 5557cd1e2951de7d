import { createPace, type PastRequest, type RequestKind } from '../src/exports/pace.js';
import { activeCampaignAt } from './helpers/stub-destination.js';
import { exportOf, imports, people, runFully, startEngine } from './helpers/engine.js';

const START = Date.UTC(2026, 0, 1);
const MINUTE = 60_000;
const limits = activeCampaignAt([]).limits('name.api-us1.com');

/** Begins requests as early as the pace allows, but late by what `latenessMs` says, and has each answered at once. */
function begin(
  kind: RequestKind,
  count: number,
  { past = [], latenessMs = () => 0 }: { past?: PastRequest[]; latenessMs?: (n: number) => number } = {},
): number[] {
  const pace = createPace(limits, past);
  let now = START;
  return Array.from({ length: count }, (_, n) => {
    now = Math.max(now, pace.earliest(kind)) + latenessMs(n);
    pace.spend(kind, now)(now);
    return now;
  });
}

/** The most moments that lie in any window of this length. */
function busiest(moments: readonly number[], windowMs: number): number {
  const counts = moments.map((from) => moments.filter((at) => at >= from && at < from + windowMs).length);
  return Math.max(...counts);
}

describe("an account's pace", () => {
  it('lets a hundred batches begin in a minute, twenty with a single contact, and four calls in a second', () => {
    expect(busiest(begin('BATCH', 300), MINUTE)).toBe(100);
    expect(busiest(begin('SINGLE', 60), MINUTE)).toBe(20);
    expect(busiest(begin('CALL', 40), 1_000)).toBe(4);
  });

  it('keeps within that however late requests begin', () => {
    for (const latenessMs of [
      (n: number) => (n === 0 ? 599 : 0),
      (n: number) => (n % 7) * 85,
      (n: number) => (n % 50 === 0 ? 2_900 : 1),
    ]) {
      expect(busiest(begin('BATCH', 400, { latenessMs }), MINUTE)).toBeLessThanOrEqual(100);
      expect(busiest(begin('SINGLE', 100, { latenessMs }), MINUTE)).toBeLessThanOrEqual(20);
      expect(busiest(begin('CALL', 100, { latenessMs }), 1_000)).toBeLessThanOrEqual(4);
    }
  });

  it('keeps within that however long requests are on their way, and their answers', () => {
    const patterns = {
      smooth: () => 300,
      jittery: (n: number) => (n * 7_919) % 3_000,
      stalling: (n: number) => (n % 60 < 5 ? 4_000 - 700 * (n % 60) : 20),
    };
    for (const wayMs of Object.values(patterns)) {
      for (const [kind, count, windowMs, quota] of [
        ['BATCH', 500, MINUTE, 100],
        ['SINGLE', 100, MINUTE, 20],
        ['CALL', 500, 1_000, 5],
      ] as const) {
        const pace = createPace(limits);
        let now = START;
        const arrivals = Array.from({ length: count }, (_, n) => {
          now = Math.max(now, pace.earliest(kind));
          const ended = pace.spend(kind, now);
          const arrivedAt = now + wayMs(n);
          ended(arrivedAt + wayMs(n + 3));
          return arrivedAt;
        });
        expect(busiest(arrivals, windowMs)).toBeLessThanOrEqual(quota);
      }
    }
  });

  it('lets no more begin than the quota while nobody knows what became of them', () => {
    const pace = createPace(limits);
    const ends = Array.from({ length: 5 }, (_, n) => pace.spend('CALL', START + n * 250));
    expect(pace.earliest('CALL')).toBe(Infinity);
    ends[3]?.(START + 5_000);
    // A second after the answer, and a millisecond for the grain of the clock.
    expect(pace.earliest('CALL')).toBe(START + 6_001);
  });

  it('makes up for what batches lost by beginning late, never closer than half the interval', () => {
    const moments = begin('BATCH', 100, { latenessMs: (n) => (n % 20 === 7 ? 1_500 : n % 3) });
    const gaps = moments.slice(1).map((at, n) => at - (moments[n] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(300);
    expect((99 * limits.batchIntervalMs) / ((moments.at(-1) ?? 0) - START)).toBeGreaterThan(0.99);
  });

  it('makes up for no pause with a burst', () => {
    const moments = begin('BATCH', 200, { latenessMs: (n) => (n === 100 ? 10 * MINUTE : 0) });
    const gaps = moments.slice(1).map((at, n) => at - (moments[n] ?? 0));
    expect(Math.min(...gaps)).toBe(limits.batchIntervalMs);
  });

  it('counts a single as a batch, and a batch as a call', () => {
    const pace = createPace(limits);
    pace.spend('SINGLE', START);
    expect(pace.earliest('SINGLE') - START).toBe(3_000);
    expect(pace.earliest('BATCH') - START).toBe(600);
    expect(pace.earliest('CALL') - START).toBe(250);
    pace.spend('CALL', START + 590);
    expect(pace.earliest('BATCH') - START).toBe(840);
  });

  it('goes on where an earlier worker stopped', () => {
    const past: PastRequest[] = [
      { kind: 'BATCH', at: START - 100, endedAt: START - 50 },
      { kind: 'SINGLE', at: START - 2_000, endedAt: START - 1_950 },
    ];
    expect(begin('BATCH', 1, { past })).toEqual([START + 500]);
    expect(begin('SINGLE', 1, { past })).toEqual([START + 1_000]);
    const minuteBefore = begin('BATCH', 100).map((at) => ({
      kind: 'BATCH' as const,
      at: at - MINUTE,
      endedAt: at - MINUTE,
    }));
    const both = [...minuteBefore.map(({ at }) => at), ...begin('BATCH', 100, { past: minuteBefore })];
    expect(busiest(both, MINUTE)).toBe(100);
  });

  it('lets nothing begin before a pause has passed, and never shortens one', () => {
    const pace = createPace(limits);
    pace.pauseUntil(START + 30_000);
    pace.pauseUntil(START + 10_000);
    for (const kind of ['BATCH', 'SINGLE', 'CALL'] as const) expect(pace.earliest(kind)).toBe(START + 30_000);
  });
});

describe('a run at an account with quotas', () => {
  it('is never refused for its pace', async () => {
    const timeScale = 15;
    const jitterMs = 30;
    const batches = 110;
    await using engine = await startEngine({
      sandbox: { timeScale, jitterMs },
      sluice: { env: { SLUICE_SANDBOX_TIME_SCALE: String(timeScale) } },
    });
    const { sandbox, sluice } = engine;
    // They take 66 s of the destination's time: more than one of its minutes.
    const run = await runFully(sluice, await exportOf(engine, people(250 * batches)));
    expect(run).toMatchObject({ state: 'SUCCEEDED', progress: { confirmed: 250 * batches } });
    const { invariants, settings } = sandbox.summary();
    expect(settings).toMatchObject({ quotas: true, importsPerMinute: 100, requestsPerSecond: 5 });
    expect(sandbox.log.filter(({ quota, status }) => quota !== undefined || status !== 200)).toEqual([]);
    expect(invariants.quotaRefusals).toEqual({ second: 0, minute: 0, 'minute-single': 0 });
    // From each batch to the hundredth after it a minute passes; what the wire may have shortened is forgiven.
    const arrivals = imports(sandbox).map(({ at }) => at);
    expect(arrivals).toHaveLength(batches);
    const minutes = arrivals.slice(100).map((at, n) => at - (arrivals[n] ?? 0));
    expect(Math.min(...minutes)).toBeGreaterThanOrEqual(MINUTE - jitterMs * timeScale);
  }, 60_000);
});
