import { BatchState, type Batch } from '../entities/batch.js';

/*
 * How often people may be sent again.
 *
 * The importer has no idempotency key: whoever is sent twice may start an automation twice. A request that surely was not
 * taken (see `RetryLaterError.taken`) may be repeated without limit. A try without that proof is counted: a request without
 * a usable answer, a batch that the destination accepted and then lost, a process that died after it had committed the
 * intent. Three such tries, and the batch is not sent again in this run.
 *
 * `unprovenTries` holds the tries whose end is known. A batch that is SENDING stands for one more: the request is under
 * way, or it ended without proof and nothing was written, or the process died. So a failure costs no statement, and a
 * restart or a take-over counts the try exactly once.
 */

/** Tries without proof that a batch may use up: the first and two further ones. */
export const MAX_UNPROVEN_TRIES = 3;

/** The tries without proof that the batch has used up; `undefined`, a batch without a row, has used up none. */
export function unprovenTriesOf(batch: Pick<Batch, 'state' | 'unprovenTries'> | undefined): number {
  if (batch === undefined) return 0;
  return batch.unprovenTries + (batch.state === BatchState.SENDING ? 1 : 0);
}

/** Whether the batch may be sent once more. */
export function hasTriesLeft(batch: Pick<Batch, 'state' | 'unprovenTries'> | undefined): boolean {
  return unprovenTriesOf(batch) < MAX_UNPROVEN_TRIES;
}
