import type { DestinationLimits } from '../destination.js';

/** Five calls a second are allowed to all who use the account together (reference §2.1); we leave one to the others. */
export const CALL_INTERVAL_MS = 250;
const CALLS_PER_SECOND = 5;
const SECOND_MS = 1_000;

/** How long the importer's quota stays used up: its unit is the minute (§3.4). */
export const QUOTA_WINDOW_MS = 60_000;

const CONTACTS_PER_BATCH = 250;
const BYTES_PER_REQUEST = 399_999;
/** Of batches, and of those with a single contact (§2.2). */
const BATCHES_PER_MINUTE = 100;
const SINGLES_PER_MINUTE = 20;

/**
 * A batch takes six to seven seconds (§3.7). At full pace 1.67 batches a second leave 2.33 of the four calls for
 * questions: 1.4 for each batch. So the first comes when the outcome is most likely there, and then every four seconds:
 * what was not there at 7 s is known at 11 s, and a batch that was accepted 2 s after its run began is confirmed well
 * within 15 s. Where processing takes longer than that, questions wait for each other, and batches for none of them.
 */
const FIRST_OUTCOME_MS = 7_000;
const OUTCOME_INTERVAL_MS = 4_000;
const LOST_AFTER_MS = 300_000;
/** Longer than the importer is out of step with itself, short beside the deadline of a run. */
const UNANSWERED_AFTER_MS = 60_000;
/** What ActiveCampaign asks for after an error of pace that names no time (§2.1). */
const RETRY_INTERVAL_MS = 1_000;
/** Outages are mostly over in minutes, and a batch has three tries: one a minute outlives most. */
const TEST_INTERVAL_MS = 60_000;

/**
 * Sped-up time does not speed up the wire or this machine: a batch is not lost, and no call repeated, sooner. A busy machine,
 * or a sandbox whose time a test has stopped, may be silent for long.
 */
const MIN_LOST_AFTER_MS = 60_000;
const MIN_RETRY_INTERVAL_MS = 10;
const MIN_UNANSWERED_AFTER_MS = 20;

/**
 * What the importer allows (§2.2), in time that passes `timeScale` times faster than here.
 * @param envelopeBytes what a request holds besides its contacts.
 */
export function limitsAt(timeScale: number, envelopeBytes: number): DestinationLimits {
  const minuteMs = QUOTA_WINDOW_MS / timeScale;
  return {
    contactsPerBatch: CONTACTS_PER_BATCH,
    bytesPerBatch: BYTES_PER_REQUEST - envelopeBytes,
    batchIntervalMs: minuteMs / BATCHES_PER_MINUTE,
    singleIntervalMs: minuteMs / SINGLES_PER_MINUTE,
    callIntervalMs: CALL_INTERVAL_MS / timeScale,
    batchQuota: { calls: BATCHES_PER_MINUTE, windowMs: minuteMs },
    singleQuota: { calls: SINGLES_PER_MINUTE, windowMs: minuteMs },
    callQuota: { calls: CALLS_PER_SECOND, windowMs: SECOND_MS / timeScale },
    firstOutcomeMs: FIRST_OUTCOME_MS / timeScale,
    outcomeIntervalMs: OUTCOME_INTERVAL_MS / timeScale,
    retryIntervalMs: Math.max(RETRY_INTERVAL_MS / timeScale, MIN_RETRY_INTERVAL_MS),
    testIntervalMs: Math.max(TEST_INTERVAL_MS / timeScale, MIN_RETRY_INTERVAL_MS),
    lostAfterMs: Math.max(LOST_AFTER_MS / timeScale, MIN_LOST_AFTER_MS),
    timeScale,
    unansweredAfterMs: Math.max(UNANSWERED_AFTER_MS / timeScale, MIN_UNANSWERED_AFTER_MS),
  };
}
