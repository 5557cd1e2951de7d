import { systemClock } from '../../src/clock.js';
import type { Clock } from '../../src/clock.js';
import type { Ticker } from '../../src/jobs/ticker.js';
import type { SluiceOptions } from './sluice.js';

/**
 * A calendar that the test turns over. What runs meanwhile takes its real time, but it is always about the same minute;
 * what is due is looked for only when the test says so.
 */
export interface Calendar {
  readonly clock: Clock;
  readonly ticker: Ticker;
  /** For `startSluice`. */
  readonly options: SluiceOptions;
  /** Makes it that moment (ISO 8601), lets the server look what is due, and waits until it has looked. */
  readonly turnTo: (moment: string) => Promise<void>;
  /** Lets the server look again. */
  readonly tick: () => Promise<void>;
}

export function createCalendar(moment: string): Calendar {
  let startMs = Date.parse(moment);
  let since = performance.now();
  let passedMs = 0;
  let onTick: () => Promise<void> = () => Promise.reject(new Error('Nobody looks what is due.'));
  const clock: Clock = {
    now: () => Math.floor(startMs + (performance.now() - since)),
    monotonic: () => systemClock.monotonic() + passedMs,
    sleep: (ms, signal) => systemClock.sleep(ms, signal),
  };
  const ticker: Ticker = {
    start: (look) => {
      onTick = look;
    },
    stop: () => Promise.resolve(),
  };
  return {
    clock,
    ticker,
    options: { clock, ticker },
    turnTo: async (next) => {
      // The time in between passes, by both readings.
      passedMs += Math.max(0, Date.parse(next) - clock.now());
      startMs = Date.parse(next);
      since = performance.now();
      await onTick();
    },
    tick: () => onTick(),
  };
}
