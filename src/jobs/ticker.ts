import { systemClock } from '../clock.js';

/** Tells every second that it is time to look what is due. Tests tick by themselves. */
export interface Ticker {
  /** @param onTick never rejects. */
  readonly start: (onTick: () => Promise<void>) => void;
  readonly stop: () => Promise<void>;
}

/** Due times are whole minutes; looking every second starts what is due on time, also where a timer comes a little early. */
const TICK_MS = 1_000;

/**
 * A tick a second after the end of the one before, by the monotonic clock. What is due is not its business: due times
 * are written down. It goes on at the same pace when the wall clock is set: a timer that waits for a second of the wall
 * clock would stand still after the clock was put back, and make up for every second that it was put forward by.
 */
export function createTicker(): Ticker {
  const stopping = new AbortController();
  let ticking = Promise.resolve();

  const tick = async (onTick: () => Promise<void>) => {
    while (!stopping.signal.aborted) {
      await onTick();
      await systemClock.sleep(TICK_MS, stopping.signal).catch(() => undefined);
    }
  };

  return {
    start: (onTick) => {
      ticking = tick(onTick);
    },
    stop: async () => {
      stopping.abort(new Error('The server is stopping.'));
      await ticking;
    },
  };
}
