import type { Batch } from '../entities/batch.js';
import {
  FixCredentialsError,
  RefusedContactsError,
  RetryLaterError,
  type Credentials,
} from '../destinations/destination.js';
import { problemOf } from '../connections/problems.js';
import { hasRemovals, timeAttempt } from './attempt-clock.js';
import {
  acceptBatch,
  dropRefused,
  exhaustBatch,
  releaseLeavers,
  replanBatch,
  splitBatch,
} from './batches.js';
import { callDestination, isFresh, MAX_BACKOFF, reportFailing } from './call-destination.js';
import type { TryOutcome } from './circuit-breaker.js';
import { listGone } from './conditions.js';
import type { Intent, ObsoleteRemovals, Parcel } from './intents.js';
import { plannedIn, type PlannedEntry } from './planned.js';
import { contactOf } from './mapping.js';
import type { Rejected } from './reject-people.js';
import { endSending, SendingEndedError, type RunContext } from './run-context.js';
import { hasTriesLeft, unprovenTriesOf } from './unproven-tries.js';

/** The batch is at the destination, or these parcels are to be sent in its place; none: all its people are decided. */
export type Handover = { readonly accepted: Batch } | { readonly again: readonly Parcel[] };

/**
 * Sends one parcel whose intent was committed just before.
 * @param ended is told how the try ended, as soon as that is known.
 * @returns what commits that which the request brought: for when the turn is over, which others wait for.
 */
export async function handOver(
  context: RunContext,
  parcel: Parcel,
  intent: Intent,
  ended: (outcome: TryOutcome) => void = () => undefined,
): Promise<() => Promise<Handover>> {
  if ('held' in intent) return () => Promise.resolve({ again: [parcel] });
  const sent = { ...parcel, batch: intent.batch };
  if ('obsolete' in intent) return () => setFree(context, sent, intent.obsolete);
  if (!isFresh(intent)) {
    // Nothing has left. Whoever has the run by now, if it is not us, has fenced us off.
    return async () => {
      await replanBatch(context, sent.batch);
      return { again: [sent] };
    };
  }
  const timesOf = hasRemovals(parcel) ? timeAttempt(context) : () => undefined;
  try {
    const receipt = await context.destination.send(intent.credentials, {
      listId: context.run.listId,
      contacts: parcel.entries.map(contactOf),
      runAutomations: context.run.runAutomations,
    });
    const times = timesOf();
    ended('ACCEPTED');
    return async () => {
      await acceptBatch(context, sent.batch, receipt, times);
      return { accepted: sent.batch };
    };
  } catch (error: unknown) {
    ended(outcomeOf(error));
    // Within the turn: whoever has the next one waits as well.
    if (error instanceof RetryLaterError && error.tooFast) {
      const pauseMs = error.afterMs ?? pauseMsAfter(context.limits, parcel.failures);
      context.pace.pauseUntil(context.services.clock.monotonic() + pauseMs);
    }
    return async () => ({ again: await afterFailure(context, sent, error) });
  }
}

function outcomeOf(error: unknown): TryOutcome {
  if (error instanceof RefusedContactsError) return 'ANSWERED';
  if (error instanceof FixCredentialsError) return 'NOT_TAKEN';
  return error instanceof RetryLaterError && error.taken === 'NO' ? 'NOT_TAKEN' : 'UNPROVEN';
}

async function afterFailure(
  context: RunContext,
  parcel: Parcel & { batch: Batch },
  error: unknown,
): Promise<readonly Parcel[]> {
  if (error instanceof RefusedContactsError) return setAsideRefused(context, parcel, error);
  if (error instanceof RetryLaterError) return backOff(context, parcel, error);
  if (error instanceof FixCredentialsError) {
    await replanBatch(context, parcel.batch);
    await reportFailing(context, error);
    return [parcel];
  }
  throw error;
}

/** These leavers are not sent; the others of the parcel go out. */
async function setFree(
  context: RunContext,
  parcel: Parcel & { batch: Batch },
  obsolete: ObsoleteRemovals,
): Promise<Handover> {
  await releaseLeavers(context, parcel.batch, obsolete);
  const released = new Set([...obsolete.wanted, ...obsolete.off]);
  const others = parcel.entries.filter((entry) => !released.has(entry));
  return { again: parcelOf(parcel, others) };
}

/** What is left of a parcel, to be sent at once. */
function parcelOf({ batch }: Parcel, entries: readonly PlannedEntry[]): Parcel[] {
  return entries.length === 0 ? [] : [{ batch, entries, failures: 0, dueAt: 0 }];
}

/** One bad contact never costs the others: the named ones are refused, or, if nobody was named, the batch is halved. */
async function setAsideRefused(
  context: RunContext,
  parcel: Parcel & { batch: Batch },
  error: RefusedContactsError,
): Promise<Parcel[]> {
  const { run, services } = context;
  const { batch, entries } = parcel;
  const refusals = refusalsOf(entries, error);
  // A list that is gone refuses everybody too, and none of them is to blame.
  const mayBeTheList = refusals.length === 0 || refusals.length === entries.length;
  if (mayBeTheList && (await listIsGone(context))) {
    await replanBatch(context, batch);
    endSending(context, listGone(run.listId));
    return [parcel];
  }
  if (refusals.length > 0) {
    await dropRefused(context, batch, refusals);
    const refused = new Set(refusals.map(({ entry }) => entry));
    return parcelOf(
      parcel,
      entries.filter((entry) => !refused.has(entry)),
    );
  }
  const halves = await splitBatch(context, batch, entries);
  const parcels = halves.map(async (half) => ({
    batch: half,
    entries: await plannedIn(services.database.reader, run, half),
    failures: 0,
    dueAt: 0,
  }));
  return Promise.all(parcels);
}

function refusalsOf(entries: readonly PlannedEntry[], error: RefusedContactsError): Rejected[] {
  if (error.named.size === 0) {
    const [only, ...others] = entries;
    return only !== undefined && others.length === 0 ? [{ entry: only, detail: error.message }] : [];
  }
  return [...error.named].flatMap(([position, detail]) => {
    const entry = entries[position];
    return entry === undefined ? [] : [{ entry, detail }];
  });
}

/** Asks in turn, once: a destination that is away has nothing against the list. */
async function listIsGone(context: RunContext): Promise<boolean> {
  const { run, destination } = context;
  const find = (credentials: Credentials) => destination.list(credentials, run.listId);
  try {
    return (await callDestination(context, find, { maxTries: 1 })) === undefined;
  } catch (error: unknown) {
    if (error instanceof RetryLaterError || error instanceof SendingEndedError) return false;
    throw error;
  }
}

/**
 * The same parcel, later. When the batch surely was not taken, the intent is withdrawn. When nobody knows, a try is used up:
 * the batch stays SENDING, so that a run that ends here counts its people as unconfirmed, and after the last try they are.
 */
async function backOff(
  context: RunContext,
  parcel: Parcel & { batch: Batch },
  error: RetryLaterError,
): Promise<Parcel[]> {
  const { services } = context;
  const { batch } = parcel;
  context.trouble = problemOf(error);
  if (error.taken === 'NO') await replanBatch(context, batch);
  if (!hasTriesLeft(batch)) {
    services.logger.warn({ batch: batch.id, why: error.message }, 'batch given up');
    await exhaustBatch(context, batch, error.message);
    return [];
  }
  const failures = parcel.failures + 1;
  const waitMs = waitMsAfter(context, parcel, error);
  const dueAt = services.clock.monotonic() + waitMs;
  services.logger.warn({ batch: batch.id, failures, waitMs, why: error.message }, 'batch delayed');
  return [{ ...parcel, failures, dueAt }];
}

/** How long a parcel waits after a failure. Where a try was used up, longer: there are few, and outages last for minutes. */
function waitMsAfter(
  { limits }: RunContext,
  { batch, failures }: Parcel,
  { afterMs, taken }: RetryLaterError,
): number {
  const { retryIntervalMs, testIntervalMs } = limits;
  if (taken === 'NO') return afterMs ?? pauseMsAfter(limits, failures);
  const isFirst = unprovenTriesOf(batch) === 1;
  const waitMs = isFirst ? testIntervalMs * FIRST_WAIT : testIntervalMs;
  return Math.max(waitMs, retryIntervalMs, afterMs ?? 0);
}

function pauseMsAfter({ retryIntervalMs }: RunContext['limits'], failures: number): number {
  return retryIntervalMs * Math.min(2 ** failures, MAX_BACKOFF);
}

/** From the first try without proof to the second, as a part of the wait before the third. */
const FIRST_WAIT = 1 / 6;
