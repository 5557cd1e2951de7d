import type { Clock } from '../../src/clock.js';

interface Sleeper {
  readonly wakeAt: number;
  readonly wake: () => void;
}

/** A clock that moves only when told, and then wakes everybody in the order of their times. Both readings begin alike. */
export interface ManualClock extends Clock {
  /** Lets so many milliseconds pass; whatever is set off meanwhile happens at its own moment. */
  readonly pass: (ms: number) => Promise<void>;
  /** Sets the wall clock alone, forward or (negative) back; nobody wakes. Forward is also what a suspension looks like. */
  readonly set: (byMs: number) => void;
  /** How many sleep. */
  readonly sleepers: () => number;
}

export function createManualClock(startMs = Date.UTC(2026, 0, 1)): ManualClock {
  const sleepers = new Set<Sleeper>();
  let nowMs = startMs;
  let setByMs = 0;
  /** Everything that was set off and needs no time. */
  const settled = () => new Promise((resolve) => setImmediate(resolve));

  return {
    now: () => nowMs + setByMs,
    monotonic: () => nowMs,
    sleepers: () => sleepers.size,
    set: (byMs) => {
      setByMs += byMs;
    },

    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const end = (how: () => void) => () => {
          sleepers.delete(sleeper);
          signal?.removeEventListener('abort', giveUp);
          how();
        };
        const giveUp = () => end(() => reject(signal?.reason as Error))();
        const sleeper: Sleeper = { wakeAt: nowMs + ms, wake: end(resolve) };
        sleepers.add(sleeper);
        if (signal?.aborted) giveUp();
        else signal?.addEventListener('abort', giveUp, { once: true });
      }),

    pass: async (ms) => {
      const until = nowMs + ms;
      await settled();
      for (;;) {
        const [next] = [...sleepers]
          .filter(({ wakeAt }) => wakeAt <= until)
          .sort((a, b) => a.wakeAt - b.wakeAt);
        if (next === undefined) break;
        nowMs = Math.max(nowMs, next.wakeAt);
        next.wake();
        await settled();
      }
      nowMs = until;
    },
  };
}
