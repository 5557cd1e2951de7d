import type { Batch } from '../entities/batch.js';
import { BatchState } from '../entities/batch.js';
import { LedgerTask } from '../entities/ledger.js';
import type { Problem } from '../entities/problem.js';
import type { Transaction } from '../database.js';
import {
  FixCredentialsError,
  RefusedContactsError,
  RetryLaterError,
  type Credentials,
} from '../destinations/destination.js';
import { problemOf } from '../connections/problems.js';
import { insertBatch, newBatch, planBatch, writeBatch } from './batch-rows.js';
import { acceptBatch, dropRefused, releaseLeavers, replanBatch, splitBatch } from './batches.js';
import { callDestination, MAX_BACKOFF, prove, reportFailing } from './call-destination.js';
import { lookElsewhere } from './compare.js';
import { listGone } from './conditions.js';
import { placeOf } from './ledger.js';
import { isHeldByAnotherRun, plannedIn, type PlannedEntry } from './planned.js';
import { contactOf } from './mapping.js';
import type { Rejected } from './reject-people.js';
import { endSending, SendingEndedError, type RunContext } from './run-context.js';

/** A batch with its contacts, ready to be sent. The batch is undefined until its first intent is committed. */
export interface Parcel {
  readonly batch: Batch | undefined;
  readonly entries: readonly PlannedEntry[];
  /** How often it was tried in vain in a row. */
  readonly failures: number;
  /** Not before this time, in ms since 1970. */
  readonly dueAt: number;
}

/** The batch is at the destination, or other parcels are to be sent in its place, or all its people are decided. */
export type Handover = { readonly accepted: Batch } | { readonly again: readonly Parcel[] };

/**
 * Sends one parcel whose intent was committed just before.
 * @returns what commits that which the request brought: for when the turn is over, which others wait for.
 */
export async function handOver(
  context: RunContext,
  parcel: Parcel,
  intent: Intent,
): Promise<() => Promise<Handover>> {
  if ('held' in intent) return () => Promise.resolve({ again: [{ ...parcel, batch: intent.held }] });
  const sent = { ...parcel, batch: intent.batch };
  if ('wantedElsewhere' in intent) return () => setFree(context, sent, intent.wantedElsewhere);
  try {
    const receipt = await context.destination.send(intent.credentials, {
      listId: context.run.listId,
      contacts: parcel.entries.map(contactOf),
      runAutomations: context.run.runAutomations,
    });
    return async () => {
      await acceptBatch(context, sent.batch, receipt);
      return { accepted: sent.batch };
    };
  } catch (error: unknown) {
    // Within the turn: whoever has the next one waits as well.
    if (error instanceof RetryLaterError && error.tooFast) {
      context.pace.pauseUntil(context.services.clock.now() + waitMsAfter(context, parcel, error));
    }
    return async () => ({ again: await afterFailure(context, sent, error) });
  }
}

async function afterFailure(
  context: RunContext,
  parcel: Parcel & { batch: Batch },
  error: unknown,
): Promise<readonly Parcel[]> {
  if (error instanceof RefusedContactsError) return setAsideRefused(context, parcel, error);
  if (error instanceof RetryLaterError) return [await backOff(context, parcel, error)];
  if (error instanceof FixCredentialsError) {
    await replanBatch(context, parcel.batch);
    await reportFailing(context, error);
    return [parcel];
  }
  throw error;
}

/**
 * The batch may be sent now with these credentials; or it must wait, because another run's batch got ahead; or some of
 * its leavers must stay, because another export has come to want them.
 */
export type Intent =
  | { readonly batch: Batch; readonly credentials: Credentials }
  | { readonly held: Batch }
  | { readonly batch: Batch; readonly wantedElsewhere: readonly PlannedEntry[] };

/**
 * Proves that the run may go on and, if so, notes that the batch is about to be sent: in one transaction, so that no
 * request with profile data begins after a consent was withdrawn.
 * @returns the batch as `held` when another run's batch with one of the addresses has got ahead; the bell rings when
 *   that one is decided.
 * @throws {SendingEndedError} when the run may not go on: nothing is sent.
 */
export async function commitIntent(context: RunContext, { batch, entries }: Parcel): Promise<Intent> {
  const { run, services } = context;
  const intent = await services.database.transact<Intent | { problem: Problem }>(async (transaction) => {
    const { manager } = transaction;
    const proof = await prove(manager, context);
    if ('problem' in proof) return proof;
    const intentAt = new Date(services.clock.now());
    const planned = async () => batch ?? (await planBatch(transaction, run, entries, intentAt));
    if (context.hasCompany() && (await isHeldByAnotherRun(manager, run, entries))) {
      return { held: await planned() };
    }
    const wantedElsewhere = await leaversWantedElsewhere(context, transaction, entries);
    if (wantedElsewhere.length > 0) return { batch: await planned(), wantedElsewhere };
    return { batch: await noteIntent(context, transaction, { batch, entries, intentAt }), ...proof };
  });
  if (!('problem' in intent)) return intent;
  endSending(context, intent.problem);
  throw new SendingEndedError(intent.problem.message);
}

/** Writes that a request begins, before it begins. */
async function noteIntent(
  { run, clockThere }: RunContext,
  { manager }: Transaction,
  {
    batch,
    entries,
    intentAt,
  }: { batch: Batch | undefined; entries: readonly PlannedEntry[]; intentAt: Date },
): Promise<Batch> {
  const there = clockThere();
  const begunAt = batch?.begunAt ?? (there === undefined ? null : new Date(there));
  if (batch === undefined) {
    const opened = newBatch(run, entries, BatchState.SENDING, intentAt);
    return insertBatch(manager, { ...opened, begunAt });
  }
  // Still SENDING: nobody knows how the request before this one ended.
  const mayHaveArrived = batch.mayHaveArrived || batch.state === BatchState.SENDING;
  const again = { state: BatchState.SENDING, intentAt, begunAt, mayHaveArrived };
  await writeBatch(manager, batch, again);
  return Object.assign(batch, again);
}

/** Since the run prepared, another run may have planned for these addresses. */
async function leaversWantedElsewhere(
  { run }: RunContext,
  { manager }: Transaction,
  entries: readonly PlannedEntry[],
): Promise<PlannedEntry[]> {
  const leavers = entries.filter(({ task }) => task === LedgerTask.REMOVE);
  if (leavers.length === 0) return [];
  const { neighbours } = await placeOf(manager, run);
  const keys = leavers.map(({ emailKey }) => emailKey);
  const elsewhere = await lookElsewhere(manager, neighbours, keys);
  return leavers.filter(({ emailKey }) => elsewhere.get(emailKey)?.keeps);
}

/** These leavers stay; the others of the parcel go out. */
async function setFree(
  context: RunContext,
  parcel: Parcel & { batch: Batch },
  leavers: readonly PlannedEntry[],
): Promise<Handover> {
  await releaseLeavers(context, parcel.batch, leavers);
  const others = parcel.entries.filter((entry) => !leavers.includes(entry));
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
 * The same parcel, later. When the destination said that it did not take the batch, the intent is withdrawn; when
 * nobody knows, the batch stays SENDING, so that a run that ends here counts its people as unconfirmed.
 */
async function backOff(
  context: RunContext,
  parcel: Parcel & { batch: Batch },
  error: RetryLaterError,
): Promise<Parcel> {
  const { run, services } = context;
  context.trouble = problemOf(error);
  const surelyNotTaken = error.tooFast || error.afterMs !== undefined;
  if (surelyNotTaken) await replanBatch(context, parcel.batch);
  const failures = parcel.failures + 1;
  const waitMs = waitMsAfter(context, parcel, error);
  const dueAt = services.clock.now() + waitMs;
  services.logger.warn(
    { runId: run.id, batch: parcel.batch.id, failures, waitMs, why: error.message },
    'batch delayed',
  );
  return { ...parcel, failures, dueAt };
}

function waitMsAfter({ limits }: RunContext, { failures }: Parcel, { afterMs }: RetryLaterError): number {
  return afterMs ?? limits.retryIntervalMs * Math.min(2 ** failures, MAX_BACKOFF);
}
