import { RetryLaterError } from '../destinations/destination.js';
import { LedgerTask } from '../entities/ledger.js';
import { callDestination } from './call-destination.js';
import type { Parcel } from './intents.js';
import type { RunContext } from './run-context.js';

/*
 * The destination dates an unsubscribe by its own clock. Whether one was ours is judged by that clock alone (see
 * check-people.ts), so each attempt to send a batch with leavers needs the moment at which it began, by that clock. Two
 * things give a lower bound, and the later one counts:
 *
 * - what the clock showed in the last answer before the request began;
 * - what it shows when the request is answered, less the time that the request took here.
 *
 * The second one is there for each attempt that was accepted, also the first one of a process that has seen no answer yet.
 * It is exact to the time that the answer takes. Where more is known before, the window becomes smaller by it.
 */

/** Whether the parcel takes somebody off the list. */
export function hasRemovals({ entries }: Pick<Parcel, 'entries'>): boolean {
  return entries.some(({ task }) => task === LedgerTask.REMOVE);
}

/**
 * Looks at the destination's clock before removals are sent, if what was seen of it may be old: by this process nothing
 * yet, or the parcel has waited since it was tried before. One harmless call in the account's turns, tried once.
 * @throws {SendingEndedError} when the run may not go on.
 */
export async function lookAtClock(context: RunContext, parcel: Parcel): Promise<void> {
  const isFirstTry = parcel.batch === undefined;
  if (!hasRemovals(parcel) || (isFirstTry && context.clockThere() !== undefined)) return;
  const { destination, run } = context;
  try {
    await callDestination(context, (credentials) => destination.list(credentials, run.listId), {
      maxTries: 1,
    });
  } catch (error: unknown) {
    // The answer to the parcel itself will show the clock.
    if (!(error instanceof RetryLaterError)) throw error;
  }
}

/**
 * To be called right before a request begins.
 * @returns what answers, once the destination has answered, when the request began by the destination's clock, or
 *   earlier; null: none of its answers showed a clock.
 */
export function timeAttempt({
  services,
  limits,
  clockThere,
}: Pick<RunContext, 'services' | 'limits' | 'clockThere'>): () => Date | null {
  const seenBefore = clockThere() ?? -Infinity;
  const startedAt = services.clock.monotonic();
  return () => {
    const there = clockThere();
    if (there === undefined) return null;
    // The monotonic clock shows too little if the machine was suspended: then the window is smaller than it might be. A
    // wall clock that was put forward would show too much, and an unsubscribe of somebody else count as ours.
    const tookMs = services.clock.monotonic() - startedAt;
    return new Date(Math.max(seenBefore, there - tookMs * limits.timeScale));
  };
}
