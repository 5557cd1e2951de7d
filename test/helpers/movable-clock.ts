import { systemClock, type Clock } from '../../src/clock.js';

/** The machine's clock, whose readings the test moves; who sleeps is not woken by it. */
export interface MovableClock extends Clock {
  /** Lets so much time pass at once, by both readings. */
  readonly pass: (ms: number) => void;
  /** Sets the wall clock alone, forward or (negative) back; forward is also what a suspension looks like. */
  readonly set: (byMs: number) => void;
}

export function movableClock(): MovableClock {
  let passedMs = 0;
  let setByMs = 0;
  return {
    now: () => Date.now() + passedMs + setByMs,
    monotonic: () => performance.now() + passedMs,
    sleep: (ms, signal) => systemClock.sleep(ms, signal),
    pass: (ms) => {
      passedMs += ms;
    },
    set: (byMs) => {
      setByMs += byMs;
    },
  };
}
