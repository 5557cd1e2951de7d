import type { Clock } from '../clock.js';
import type { DestinationLimits } from '../destinations/destination.js';

/*
 * Batches that take people off the list are asked about at least every ten seconds of the destination's time: the answers
 * tell when the removals took effect (see removal-windows.ts). A question comes four seconds after the last answer, seven
 * after the acceptance. One that has waited a second for its turn goes before everything else of the account. Where the
 * importer needs minutes, more batches of this kind are therefore sent only as questions leave room: some twenty-five of them
 * are under way at once.
 */

/** Questions of one run that may not wait long. */
export interface PunctualQuestions {
  /** Like the run's, and before everything else while one of them has waited too long. */
  readonly urgency: () => number;
  /** Notes that a question waits for its turn. @returns what notes that it does not any more. */
  readonly wait: () => () => void;
}

/** Part of the interval between two questions that one may wait. */
const PATIENCE = 0.25;
/** Sped-up time does not speed up this machine: turns are given in the usual order for so long. */
const MIN_PATIENCE_MS = 250;
/** Urgencies are counts of people. */
const FIRST_OF_ALL = -1;

/** @param urgency that of the run. */
export function createPunctualQuestions(
  clock: Clock,
  { outcomeIntervalMs }: Pick<DestinationLimits, 'outcomeIntervalMs'>,
  urgency: () => number,
): PunctualQuestions {
  const patienceMs = Math.max(outcomeIntervalMs * PATIENCE, MIN_PATIENCE_MS);
  /** In the order in which they came, which is that of their turns. */
  const waiting = new Set<{ readonly since: number }>();
  return {
    urgency: () => {
      const [oldest] = waiting;
      return oldest !== undefined && clock.monotonic() - oldest.since >= patienceMs
        ? FIRST_OF_ALL
        : urgency();
    },
    wait: () => {
      const entry = { since: clock.monotonic() };
      waiting.add(entry);
      return () => {
        waiting.delete(entry);
      };
    },
  };
}
