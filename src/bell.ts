import type { Clock } from './clock.js';

/** Wakes everybody who waits for something to change, and loses no ring between a look and a wait. */
export interface Bell {
  readonly ring: () => void;
  /** How often it has rung: look at this first, then at the world, then wait. */
  readonly count: () => number;
  /** Resolves as soon as it has rung more often than `seen`, or when the monotonic clock shows `untilMs`. */
  readonly after: (seen: number, untilMs?: number) => Promise<void>;
}

export function createBell(clock: Clock): Bell {
  let rings = 0;
  let next = Promise.withResolvers<undefined>();

  const untilTime = async (untilMs: number, signal: AbortSignal) => {
    try {
      await clock.sleep(Math.max(0, untilMs - clock.monotonic()), signal);
    } catch (error: unknown) {
      if (!signal.aborted) throw error;
    }
  };

  return {
    ring: () => {
      rings += 1;
      next.resolve(undefined);
      next = Promise.withResolvers();
    },
    count: () => rings,
    after: async (seen, untilMs) => {
      if (rings > seen) return;
      const timer = new AbortController();
      const rung = next.promise;
      await (untilMs === undefined ? rung : Promise.race([rung, untilTime(untilMs, timer.signal)]));
      timer.abort();
    },
  };
}
