import type { Clock } from '../clock.js';
import { RetryLaterError } from '../destinations/destination.js';

/** Somebody waits for the answer, so only a short pause is worth it. */
const MAX_PATIENCE_MS = 5_000;

/**
 * Asks a destination something on behalf of a person or program that waits. Such calls go beside the account's pump, so
 * that a few in a row can meet the limit of calls per second: when the destination says "in a moment", ask once more
 * then.
 * @throws whatever `question` throws.
 */
export async function askPatiently<T>(clock: Clock, question: () => Promise<T>): Promise<T> {
  try {
    return await question();
  } catch (error: unknown) {
    const waitMs = error instanceof RetryLaterError && error.tooFast ? error.afterMs : undefined;
    if (waitMs === undefined || waitMs > MAX_PATIENCE_MS) throw error;
    await clock.sleep(waitMs);
    return question();
  }
}
