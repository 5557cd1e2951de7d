import { systemClock } from '../../src/clock.js';

/**
 * A measure of time that is longer on a slow machine: rounds of a pause and a question, in the process of the test. What
 * consists of pauses and questions too, and has fewer of both, ends within so many rounds on any machine.
 */
export interface Rounds extends AsyncDisposable {
  /** How many have ended so far. */
  readonly count: () => number;
}

const PAUSE_MS = 50;

/** So many rounds last at least this long. */
export function roundsIn(ms: number): number {
  return ms / PAUSE_MS;
}

/** Goes on with rounds until it is disposed of. @param ask a question to the database. */
export function startRounds(ask: () => Promise<unknown>): Rounds {
  const over = new AbortController();
  let ended = 0;
  const going = (async () => {
    while (!over.signal.aborted) {
      await systemClock.sleep(PAUSE_MS);
      await ask();
      ended += 1;
    }
  })();
  return {
    count: () => ended,
    [Symbol.asyncDispose]: async () => {
      over.abort();
      await going;
    },
  };
}
