import type { DestinationLimits } from '../destination.js';

/** Five calls a second are allowed to all who use the account together (reference §2.1); we leave one to the others. */
export const CALL_INTERVAL_MS = 250;

/** How long the importer's quota stays used up: its unit is the minute (§3.4). */
export const QUOTA_WINDOW_MS = 60_000;

const CONTACTS_PER_BATCH = 250;
const BYTES_PER_REQUEST = 399_999;
/** Of 100 batches a minute, and of 20 with a single contact (§2.2). */
const BATCH_INTERVAL_MS = 600;
const SINGLE_INTERVAL_MS = 3_000;
/** A batch takes about six seconds (§3.7), and each question costs one of the calls. */
const OUTCOME_INTERVAL_MS = 5_000;
const LOST_AFTER_MS = 300_000;
/** What ActiveCampaign asks for after an error of pace that names no time (§2.1). */
const RETRY_INTERVAL_MS = 1_000;

/** Sped-up time does not speed up the wire or this machine: a batch is not lost, and no call repeated, sooner. */
const MIN_LOST_AFTER_MS = 2_000;
const MIN_RETRY_INTERVAL_MS = 10;

/**
 * What the importer allows (§2.2), in time that passes `timeScale` times faster than here.
 * @param envelopeBytes what a request holds besides its contacts.
 */
export function limitsAt(timeScale: number, envelopeBytes: number): DestinationLimits {
  return {
    contactsPerBatch: CONTACTS_PER_BATCH,
    bytesPerBatch: BYTES_PER_REQUEST - envelopeBytes,
    batchIntervalMs: BATCH_INTERVAL_MS / timeScale,
    singleIntervalMs: SINGLE_INTERVAL_MS / timeScale,
    callIntervalMs: CALL_INTERVAL_MS / timeScale,
    outcomeIntervalMs: OUTCOME_INTERVAL_MS / timeScale,
    retryIntervalMs: Math.max(RETRY_INTERVAL_MS / timeScale, MIN_RETRY_INTERVAL_MS),
    lostAfterMs: Math.max(LOST_AFTER_MS / timeScale, MIN_LOST_AFTER_MS),
  };
}
