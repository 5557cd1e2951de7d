import { Batch, BatchState } from '../entities/batch.js';
import { Connection, ConnectionState } from '../entities/connection.js';
import { ExportRun, ExportRunState } from '../entities/export-run.js';
import type { Problem } from '../entities/problem.js';
import {
  FixCredentialsError,
  RefusedContactsError,
  RetryLaterError,
  type Credentials,
} from '../destinations/destination.js';
import { SluiceError } from '../errors.js';
import { openCredentials } from '../connections/credentials.js';
import { problemOf } from '../connections/problems.js';
import {
  acceptBatch,
  dropRefused,
  newBatch,
  planBatch,
  replanBatch,
  splitBatch,
  type Refusal,
} from './batches.js';
import { lookAgain, listGone } from './conditions.js';
import { isHeldByAnotherRun, noteSent, plannedIn, type PlannedEntry } from './ledger.js';
import { contactOf } from './mapping.js';
import { endSending, SendingEndedError, type EngineServices, type RunContext } from './run-context.js';
import { RunMovedError } from './run-states.js';

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

const MAX_BACKOFF = 60;

/** Sends one parcel whose intent was committed just before, and commits what the request brought. */
export async function handOver(context: RunContext, parcel: Parcel, intent: Intent): Promise<Handover> {
  const { run, services } = context;
  if ('held' in intent) return { again: [{ ...parcel, batch: intent.held }] };
  const { batch, credentials } = intent;
  const { entries } = parcel;
  try {
    const receipt = await context.destination.send(credentials, {
      listId: run.listId,
      contacts: entries.map(({ wanted, everSent }) => contactOf(wanted, everSent)),
      runAutomations: run.runAutomations,
    });
    await acceptBatch(services, run, batch, receipt);
    return { accepted: batch };
  } catch (error: unknown) {
    if (error instanceof RefusedContactsError) {
      return { again: await setAsideRefused(context, credentials, { ...parcel, batch }, error) };
    }
    if (error instanceof RetryLaterError) {
      return { again: [await backOff(context, { ...parcel, batch }, error)] };
    }
    if (error instanceof FixCredentialsError) {
      await replanBatch(services, run, batch);
      await reportFailing(context, error);
      return { again: [{ ...parcel, batch }] };
    }
    throw error;
  }
}

/** The batch may be sent now with these credentials; or it must wait, because another run's batch got ahead. */
export type Intent = { readonly batch: Batch; readonly credentials: Credentials } | { readonly held: Batch };

type Finding =
  | { readonly opened: Batch; readonly credentials: Credentials }
  | { readonly held: Batch }
  | { readonly problem: Problem };

/**
 * Looks at the conditions once more and, if they hold, notes that the batch is about to be sent: in one transaction, so
 * that no request with profile data begins after a consent was withdrawn.
 * @returns the batch as `held` when another run's batch with one of the addresses has got ahead; the bell rings when
 *   that one is decided.
 * @throws {SendingEndedError} when the conditions do not hold any more: nothing is sent.
 */
export async function commitIntent(context: RunContext, { batch, entries }: Parcel): Promise<Intent> {
  const { run, services } = context;
  const intent = await services.database.transact<Finding>(async (transaction) => {
    const { manager } = transaction;
    const { id, attempt } = run;
    const now = await manager.findOneBy(ExportRun, { id, attempt });
    if (now === null) throw new RunMovedError(run.id);
    if (now.state !== ExportRunState.RUNNING) throw new SendingEndedError('The run was cancelled.');
    const conditions = await lookAgain(manager, run);
    if (conditions.problem !== null) return conditions;
    const credentials = openOrExplain(services, conditions.connection);
    if ('problem' in credentials) return credentials;
    const intentAt = new Date(services.clock.now());
    if (await isHeldByAnotherRun(manager, run, entries)) {
      return { held: batch ?? (await planBatch(transaction, run, entries, intentAt)) };
    }
    await noteSent(manager, run, entries);
    if (batch === undefined) {
      const opened = await manager.save(Batch, newBatch(run, entries, BatchState.SENDING, intentAt));
      return { opened, credentials };
    }
    // Still SENDING: nobody knows how the request before this one ended.
    const mayHaveArrived = batch.mayHaveArrived || batch.state === BatchState.SENDING;
    const again = { state: BatchState.SENDING, intentAt, mayHaveArrived };
    await manager.update(Batch, { id: batch.id }, again);
    return { opened: Object.assign(batch, again), credentials };
  });
  if ('held' in intent) return intent;
  if ('problem' in intent) {
    endSending(context, intent.problem);
    throw new SendingEndedError(intent.problem.message);
  }
  return { batch: intent.opened, credentials: intent.credentials };
}

/** Before the intent: a key that cannot be opened, because the server lost its secret key, sends nothing. */
function openOrExplain(services: EngineServices, connection: Connection): Credentials | { problem: Problem } {
  try {
    return openCredentials(services, connection);
  } catch (error: unknown) {
    if (error instanceof SluiceError) return { problem: problemOf(error) };
    throw error;
  }
}

/** One bad contact never costs the others: the named ones are refused, or, if nobody was named, the batch is halved. */
async function setAsideRefused(
  context: RunContext,
  credentials: Credentials,
  parcel: Parcel & { batch: Batch },
  error: RefusedContactsError,
): Promise<Parcel[]> {
  const { run, services } = context;
  const { batch, entries } = parcel;
  const refusals = refusalsOf(entries, error);
  // A list that is gone refuses everybody too, and none of them is to blame.
  const mayBeTheList = refusals.length === 0 || refusals.length === entries.length;
  if (mayBeTheList && (await listIsGone(context, credentials))) {
    await replanBatch(services, run, batch);
    endSending(context, listGone(run.listId));
    return [parcel];
  }
  if (refusals.length > 0) {
    await dropRefused(services, run, batch, refusals);
    const refused = new Set(refusals.map(({ entry }) => entry));
    const left = entries.filter((entry) => !refused.has(entry));
    return left.length === 0 ? [] : [{ batch, entries: left, failures: 0, dueAt: 0 }];
  }
  const halves = await splitBatch(services, run, batch, entries);
  const parcels = halves.map(async (half) => ({
    batch: half,
    entries: await plannedIn(services.database.reader, run, half),
    failures: 0,
    dueAt: 0,
  }));
  return Promise.all(parcels);
}

function refusalsOf(entries: readonly PlannedEntry[], error: RefusedContactsError): Refusal[] {
  if (error.named.size === 0) {
    const [only, ...others] = entries;
    return only !== undefined && others.length === 0 ? [{ entry: only, detail: error.message }] : [];
  }
  return [...error.named].flatMap(([position, detail]) => {
    const entry = entries[position];
    return entry === undefined ? [] : [{ entry, detail }];
  });
}

async function listIsGone(context: RunContext, credentials: Credentials): Promise<boolean> {
  try {
    return (await context.destination.list(credentials, context.run.listId)) === undefined;
  } catch (error: unknown) {
    if (error instanceof RetryLaterError || error instanceof FixCredentialsError) return false;
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
  const { run, services, limits, pace } = context;
  const surelyNotTaken = error.tooFast || error.afterMs !== undefined;
  if (surelyNotTaken) await replanBatch(services, run, parcel.batch);
  const failures = parcel.failures + 1;
  const waitMs = error.afterMs ?? limits.retryIntervalMs * Math.min(2 ** (failures - 1), MAX_BACKOFF);
  const dueAt = services.clock.now() + waitMs;
  if (error.tooFast) pace.pauseUntil(dueAt);
  services.logger.warn(
    { runId: run.id, batch: parcel.batch.id, failures, waitMs, why: error.message },
    'batch delayed',
  );
  return { ...parcel, failures, dueAt };
}

/** The credentials are refused: the run ends its sending, and the connection shows why. */
export async function reportFailing(context: RunContext, error: FixCredentialsError): Promise<void> {
  const { run, services } = context;
  const problem = problemOf(error);
  await services.database.transact(async ({ manager }) => {
    await manager.update(
      Connection,
      { id: run.connectionId, revision: run.connectionRevision },
      { state: ConnectionState.FAILING, problem },
    );
  });
  endSending(context, problem);
}
