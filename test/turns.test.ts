import { createPace, type RequestKind } from '../src/exports/pace.js';
import { createTurns } from '../src/exports/turns.js';
import { createManualClock } from './helpers/manual-clock.js';
import { activeCampaignAt } from './helpers/stub-destination.js';

const START = Date.UTC(2026, 0, 1);

const LIMITS = activeCampaignAt([]).limits('name.api-us1.com');

/** An account at real speed, and a record of what began when (ms after the start). */
function account(limits = LIMITS) {
  const clock = createManualClock(START);
  const pace = createPace(limits);
  const turns = createTurns(pace, clock);
  const begun: string[] = [];

  return {
    clock,
    pace,
    turns,
    begun,
    /** Asks for a turn; the request takes `lastsMs`. */
    ask: (
      name: string,
      options: { kind?: RequestKind; left?: () => number; lastsMs?: number; signal?: AbortSignal } = {},
    ) => {
      const { kind = 'BATCH', left = () => 0, lastsMs = 0, signal = new AbortController().signal } = options;
      return turns.take({ kind, priority: left, signal }, async () => {
        begun.push(`${name} ${clock.now() - START}`);
        if (lastsMs > 0) await clock.sleep(lastsMs);
        return name;
      });
    },
  };
}

describe('the turns of an account', () => {
  it('come one batch at a time, 600 ms apart', async () => {
    const { ask, clock, begun } = account();
    const answers = Promise.all(['a', 'b', 'c'].map((name) => ask(name)));
    await clock.pass(2_000);
    expect(begun).toEqual(['a 0', 'b 600', 'c 1200']);
    expect(await answers).toEqual(['a', 'b', 'c']);
  });

  it('go to the run that has the least left to do, as it is when the turn comes', async () => {
    const { ask, clock, begun } = account();
    const left = { first: 5_000, million: 1_000_000, few: 200 };
    const turns = (['first', 'million', 'few'] as const).map((run) => ask(run, { left: () => left[run] }));
    turns.push(ask('million', { left: () => left.million }));
    await clock.pass(700);
    left.million = 3;
    await clock.pass(5_000);
    await Promise.all(turns);
    expect(begun).toEqual(['first 0', 'few 600', 'million 1200', 'million 1800']);
    begun.length = 0;

    const again = [ask('few', { left: () => left.few }), ask('million', { left: () => left.million })];
    again.push(ask('few', { left: () => left.few }));
    await clock.pass(5_000);
    await Promise.all(again);
    expect(begun.map((line) => line.split(' ')[0])).toEqual(['few', 'million', 'few']);
  });

  it('let questions be asked between batches, four calls a second in all', async () => {
    const { ask, clock, begun } = account();
    const turns = ['q1', 'q2', 'q3', 'q4', 'q5'].map((name) => ask(name, { kind: 'CALL' }));
    turns.push(ask('a'), ask('b'));
    await clock.pass(5_000);
    await Promise.all(turns);
    // A batch whose time has come goes before the questions of a run that is as urgent.
    expect(begun).toEqual(['q1 0', 'a 250', 'q2 500', 'q3 750', 'b 1000', 'q4 1250', 'q5 1500']);
  });

  it('are held by sixteen requests at once at most', async () => {
    const { ask, clock, begun } = account({ ...LIMITS, callQuota: { calls: 100, windowMs: 1_000 } });
    const turns = Array.from({ length: 17 }, (_, n) => ask(`${n}`, { kind: 'CALL', lastsMs: 6_000 }));
    await clock.pass(5_999);
    expect(begun).toHaveLength(16);
    await clock.pass(7_000);
    await Promise.all(turns);
    expect(begun.at(-1)).toBe('16 6000');
  });

  it('are given together when their slots are so near that preparing takes longer, and begin at their slots', async () => {
    const { clock, pace } = account({ ...LIMITS, callIntervalMs: 2, batchIntervalMs: 5 });
    const turns = createTurns(pace, clock);
    const begun: number[] = [];
    let preparing = 0;
    let together = 0;
    const request = {
      kind: 'BATCH',
      priority: () => 0,
      signal: new AbortController().signal,
      prepare: async () => {
        preparing += 1;
        together = Math.max(together, preparing);
        await clock.sleep(12);
        preparing -= 1;
      },
    } as const;
    const requests = Array.from({ length: 4 }, () =>
      turns.take(request, () => Promise.resolve(begun.push(clock.now() - START))),
    );
    await clock.pass(100);
    await Promise.all(requests);
    expect(together).toBe(4);
    expect(begun).toEqual([12, 12, 12, 15]);
  });

  it('are never given together at the pace of real accounts, however slow the disk is', async () => {
    const { clock, pace } = account();
    const turns = createTurns(pace, clock);
    const begun: number[] = [];
    const request = {
      kind: 'BATCH',
      priority: () => 0,
      signal: new AbortController().signal,
      prepare: () => clock.sleep(2_000),
    } as const;
    const requests = Array.from({ length: 5 }, () =>
      turns.take(request, () => Promise.resolve(begun.push(clock.now() - START))),
    );
    await clock.pass(60_000);
    await Promise.all(requests);
    const gaps = begun.slice(1).map((at, n) => at - (begun[n] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(600);
  });

  it('end with the wait of whoever gives up, and nobody else notices', async () => {
    const { ask, clock, begun } = account();
    const given = new AbortController();
    const [first, second, third] = [ask('a'), ask('b', { signal: given.signal }), ask('c')];
    given.abort(new Error('cancelled'));
    await expect(second).rejects.toThrow('cancelled');
    await clock.pass(2_000);
    await Promise.all([first, third]);
    expect(begun).toEqual(['a 0', 'c 600']);
    await expect(ask('d', { signal: given.signal })).rejects.toThrow('cancelled');
  });

  it('do not break off a request that has begun', async () => {
    const { ask, clock } = account();
    const given = new AbortController();
    const turn = ask('a', { signal: given.signal, lastsMs: 1_000 });
    await clock.pass(10);
    given.abort(new Error('cancelled'));
    await clock.pass(1_000);
    expect(await turn).toBe('a');
  });

  it('go on after a request that failed', async () => {
    const { clock, pace } = account();
    const turns = createTurns(pace, clock);
    const request = { kind: 'CALL', priority: () => 0, signal: new AbortController().signal } as const;
    const failing = Array.from({ length: 6 }, () =>
      turns.take(request, () => Promise.reject(new Error('broken'))).catch(() => 'broken'),
    );
    await clock.pass(2_000);
    expect(await Promise.all(failing)).toHaveLength(6);
    const next = turns.take(request, () => Promise.resolve('well'));
    await clock.pass(2_000);
    expect(await next).toBe('well');
  });

  it('rest while the destination asked to be left alone, also those that waited already', async () => {
    const { ask, clock, pace, begun } = account();
    const turns = [ask('a'), ask('b'), ask('q', { kind: 'CALL' })];
    await clock.pass(1);
    pace.pauseUntil(START + 30_000);
    await clock.pass(40_000);
    await Promise.all(turns);
    // Behind a batch it is the question's turn.
    expect(begun).toEqual(['a 0', 'q 30000', 'b 30250']);
  });

  it('come so early that the time of preparing does not slow the pace down, and begin no request early', async () => {
    const { clock, pace } = account();
    const turns = createTurns(pace, clock);
    const begun: number[] = [];
    const request = {
      kind: 'BATCH',
      priority: () => 0,
      signal: new AbortController().signal,
      // As on a disk that is quick at times.
      prepare: () => clock.sleep(begun.length % 4 === 0 ? 20 : 100),
    } as const;
    const requests = Array.from({ length: 60 }, () =>
      turns.take(request, () => Promise.resolve(begun.push(clock.now() - START))),
    );
    await clock.pass(60_000);
    await Promise.all(requests);
    const gaps = begun.slice(1).map((at, n) => at - (begun[n] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(300);
    const first = begun[0] ?? 0;
    begun.forEach((at, n) => {
      expect(at - first).toBeGreaterThanOrEqual(n * 600);
      expect(at - first).toBeLessThan(n * 600 + 100);
    });
  });

  it('wait for the end of requests under way when only that tells when the next may begin', async () => {
    const { clock } = account();
    const limits = activeCampaignAt([]).limits('name.api-us1.com');
    const turns = createTurns(createPace({ ...limits, callQuota: { calls: 2, windowMs: 1_000 } }), clock);
    const begun: number[] = [];
    const request = { kind: 'CALL', priority: () => 0, signal: new AbortController().signal } as const;
    const requests = Array.from({ length: 3 }, () =>
      turns.take(request, () => {
        begun.push(clock.now() - START);
        return clock.sleep(3_000);
      }),
    );
    await clock.pass(20_000);
    await Promise.all(requests);
    expect(begun).toEqual([0, 250, 4_001]);
  });

  describe('of two calls', () => {
    /** A turn of two calls, whose calls take `lastsMs` each. */
    const takeTwo = (
      { clock, turns, begun }: Pick<ReturnType<typeof account>, 'clock' | 'turns' | 'begun'>,
      name: string,
      lastsMs: number,
      calls: 1 | 2 = 2,
    ) =>
      turns.take(
        { kind: 'PAIR', priority: () => 0, signal: new AbortController().signal },
        async (second) => {
          begun.push(`${name}1 ${clock.now() - START}`);
          await clock.sleep(lastsMs);
          if (calls === 1 || !second()) return `${name} once`;
          begun.push(`${name}2 ${clock.now() - START}`);
          await clock.sleep(lastsMs);
          return `${name} twice`;
        },
      );

    it('let nobody begin between the two, and both count', async () => {
      const ours = account();
      const { ask, clock, begun } = ours;
      const turns = [ask('q1', { kind: 'CALL', lastsMs: 100 }), takeTwo(ours, 'p', 100), ask('a'), ask('b')];
      turns.push(ask('q2', { kind: 'CALL' }));
      await clock.pass(10_000);
      await Promise.all(turns);
      expect(begun).toEqual(['q1 0', 'a 250', 'p1 500', 'p2 600', 'b 1000', 'q2 1250']);
    });

    it('let nobody begin who was preparing already', async () => {
      const ours = account({ ...LIMITS, callIntervalMs: 2, batchIntervalMs: 5 });
      const { clock, turns, begun } = ours;
      const request = {
        kind: 'BATCH',
        priority: () => 0,
        signal: new AbortController().signal,
        prepare: () => clock.sleep(12),
      } as const;
      const ask = () => turns.take(request, () => Promise.resolve(begun.push(`b ${clock.now() - START}`)));
      const asked: Promise<unknown>[] = [ask(), ask()];
      asked.push(takeTwo(ours, 'p', 40), ask(), ask());
      await clock.pass(5_000);
      await Promise.all(asked);
      const first = begun.findIndex((line) => line.startsWith('p1'));
      expect(begun[first + 1]).toMatch(/^p2/);
      expect(begun).toHaveLength(6);
    });

    it('begin when the quota has room for both, and keep it however long the first takes', async () => {
      const ours = account();
      const { ask, clock, begun } = ours;
      const turns: Promise<string>[] = [];
      for (let n = 0; n < 4; n += 1) turns.push(ask(`q${n}`, { kind: 'CALL', lastsMs: 5_000 }));
      turns.push(takeTwo(ours, 'p', 300));
      await clock.pass(20_000);
      await Promise.all(turns);
      // Four of five are under way: only when the first has ended and a second has passed there is room for two.
      expect(begun.slice(4)).toEqual(['p1 6001', 'p2 6301']);
    });

    it('hold nobody back when there is no second call, or the first fails', async () => {
      const ours = account();
      const { ask, clock, begun, turns } = ours;
      const request = { kind: 'PAIR', priority: () => 0, signal: new AbortController().signal } as const;
      const failing = turns.take(request, () => Promise.reject(new Error('broken'))).catch(() => 'broken');
      const asked = [failing, takeTwo(ours, 'p', 100, 1), ask('q', { kind: 'CALL' })];
      await clock.pass(5_000);
      expect(await Promise.all(asked)).toEqual(['broken', 'p once', 'q']);
      expect(begun).toEqual(['p1 250', 'q 500']);
    });

    it('let the next two begin behind them, and hold the others for these as well', async () => {
      const ours = account();
      const { ask, clock, begun } = ours;
      // The second call of the first turn is still under way while the second turn holds.
      const asked = [takeTwo(ours, 'p', 400), takeTwo(ours, 'r', 1_000), ask('q', { kind: 'CALL' })];
      await clock.pass(10_000);
      await Promise.all(asked);
      expect(begun.map((line) => line.split(' ')[0])).toEqual(['p1', 'p2', 'r1', 'r2', 'q']);
    });

    it('make no second call once the destination has asked to be left alone', async () => {
      const ours = account();
      const { clock, pace } = ours;
      const turn = takeTwo(ours, 'p', 100);
      await clock.pass(50);
      pace.pauseUntil(START + 30_000);
      await clock.pass(100);
      expect(await turn).toBe('p once');
    });
  });
});
