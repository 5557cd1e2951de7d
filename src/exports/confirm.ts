import { instantOf, systemClock, type Instant } from '../clock.js';
import type { Batch } from '../entities/batch.js';
import type { Connection } from '../entities/connection.js';
import {
  FixCredentialsError,
  RetryLaterError,
  type Credentials,
  type Outcome,
} from '../destinations/destination.js';
import { problemOf } from '../connections/problems.js';
import { openCredentials } from '../connections/credentials.js';
import { ConnectionFailedError } from '../errors.js';
import { leaveUnconfirmed, loseBatch, settleBatch } from './batches.js';
import { isFresh, reportFailing, waitWhileAway } from './call-destination.js';
import { attributeFailures } from './failures.js';
import { assertTenure, RunTakenError } from './fence.js';
import { outcomeOfNewcomers } from './newcomers.js';
import { plannedIn } from './planned.js';
import type { Rejected } from './reject-people.js';
import { afterAnswer, afterEnd, afterLoss, maxGapOf } from './removal-windows.js';
import { SendingEndedError, type RunContext } from './run-context.js';
import type { Parcel } from './intents.js';
import { noteSightings } from './note-sightings.js';

/** A batch without an outcome is not given up before it was asked about this often, however late the answers come. */
const MIN_QUESTIONS = 5;

/**
 * Asks about an accepted batch until it is decided. The contacts are read again only where somebody failed: thousands
 * of batches can wait for their outcome at once.
 * @param options.isResumed whether another process, or this one before it lost the run, has sent the batch.
 * @returns the parcel to send again, if the destination lost the batch.
 * @throws {ShutdownError} when the process stops; the receipt is kept, and followed up after the next start.
 */
export async function followUp(
  context: RunContext,
  batch: Batch,
  { isResumed }: { isResumed: boolean },
): Promise<Parcel | undefined> {
  const { services, limits, breaker } = context;
  /** Whether something kept answers about the batch away since the last one. */
  let isInterrupted = isResumed;
  const note = noteSightings(services, batch, () => context.decide({ batch, changes: {} }));
  // From now, not from the stored acceptance: after a restart with a clock that was put forward, batches would be lost.
  const lostAt = services.clock.monotonic() + limits.lostAfterMs;
  let waitMs = limits.firstOutcomeMs;
  for (let questions = 1; ; questions += 1) {
    const answer = await ask(context, batch, waitMs);
    const maxGapMs = maxGapOf(limits, { isInterrupted });
    if (answer.state === 'COMPLETED') {
      breaker.followedUp('COMPLETED');
      Object.assign(batch, afterEnd(batch, answer.at, maxGapMs));
      await settle(context, batch, answer.failures, answer.possibleReasons);
      return undefined;
    }
    if (answer.state === 'UNASKABLE') {
      breaker.followedUp('UNKNOWN');
      await leaveUnconfirmed(context, batch, answer.detail);
      return undefined;
    }
    const late = services.clock.monotonic() >= lostAt && questions >= MIN_QUESTIONS;
    const silent = late && !(answer.state === 'UNANSWERED' && (await isAway(context)));
    if (answer.state === 'PENDING' || answer.state === 'LOST') {
      const { at } = answer;
      const begun = answer.state === 'LOST' || answer.begun;
      Object.assign(batch, afterAnswer(batch, { at, begun }, maxGapMs));
    }
    if (answer.state === 'LOST' || silent) {
      breaker.followedUp('LOST');
      return sendAgainOrGiveUp(context, batch, answer.state === 'LOST' ? answer.detail : NEVER_DECIDED);
    }
    isInterrupted = answer.state === 'UNANSWERED';
    waitMs = answer.state === 'UNANSWERED' ? answer.waitMs : limits.outcomeIntervalMs;
    await note();
  }
}

/** A destination that is away has lost nothing yet: it is waited for, unless the run may not go on. */
async function isAway(context: RunContext): Promise<boolean> {
  try {
    return await waitWhileAway(context);
  } catch (error: unknown) {
    if (error instanceof SendingEndedError) return false;
    throw error;
  }
}

/**
 * What a question brought. UNANSWERED: the destination gave no usable answer. UNASKABLE: there is no way to learn the
 * outcome in this run.
 */
type Answer =
  | Outcome
  | { readonly state: 'UNANSWERED'; readonly waitMs: number }
  | { readonly state: 'UNASKABLE'; readonly detail: string };

async function ask(context: RunContext, batch: Batch, waitMs: number): Promise<Answer> {
  const { services, turns, asking, destination, limits, pace, punctual } = context;
  const isRemoval = batch.begunAt !== null;
  let endWait: (() => void) | undefined;
  try {
    await services.clock.sleep(waitMs, asking.signal);
    let asker = await proveAsker(context);
    if (asker.credentials === undefined) return UNASKABLE;
    const priority = isRemoval ? punctual.urgency : context.urgency;
    const request = { kind: 'CALL', priority, signal: asking.signal } as const;
    if (isRemoval) endWait = punctual.wait();
    return await turns.take(request, async () => {
      endWait?.();
      if (!isFresh(asker)) asker = await proveAsker(context);
      if (asker.credentials === undefined) return UNASKABLE;
      return destination.outcome(asker.credentials, batch.receipt ?? '');
    });
  } catch (error: unknown) {
    if (error instanceof RetryLaterError) {
      context.trouble = problemOf(error);
      const againMs = error.afterMs ?? limits.outcomeIntervalMs;
      if (error.tooFast) pace.pauseUntil(services.clock.monotonic() + againMs);
      return { state: 'UNANSWERED', waitMs: againMs };
    }
    if (error instanceof FixCredentialsError) {
      await reportFailing(context, error);
      return { state: 'UNASKABLE', detail: error.message };
    }
    if (error instanceof SendingEndedError) return { state: 'UNASKABLE', detail: DEADLINE_PASSED };
    throw error;
  } finally {
    endWait?.();
  }
}

/** Who may ask now: the run is in these hands, and there may be a key. */
interface Asker {
  readonly credentials: Credentials | undefined;
  /** See `isFresh`. */
  readonly provenAt: Instant;
}

/**
 * A receipt is followed up even after consent was withdrawn or the export was detached: the question carries no profile
 * data. It needs a key for the account that gave the receipt. And it counts against the account's quotas, which are
 * somebody else's once the account, or the run, was taken over.
 * @throws {RunTakenError} if it was.
 */
async function proveAsker({ run, services }: RunContext): Promise<Asker> {
  const provenAt = instantOf(systemClock);
  const { reader } = services.database;
  await assertTenure(reader, services, run);
  const [connection]: (Pick<Connection, 'id' | 'host' | 'sealedApiKey'> & { account: string | null })[] =
    await reader.query(
      `SELECT "connection"."id", "connection"."host", "connection"."sealedApiKey", "connection"."account"
       FROM "export_runs" AS "run" LEFT JOIN "connections" AS "connection" ON "connection"."id" = "run"."connectionId"
       WHERE "run"."id" = $1 AND "run"."attempt" = $2`,
      [run.id, run.attempt],
    );
  if (connection === undefined) throw new RunTakenError(run.id);
  if (connection.account !== run.account) return { credentials: undefined, provenAt };
  try {
    return { credentials: openCredentials(services, connection), provenAt };
  } catch (error: unknown) {
    if (error instanceof ConnectionFailedError) return { credentials: undefined, provenAt };
    throw error;
  }
}

/** Decides every contact of a completed batch; a failure that is nobody's makes all of them uncertain. */
async function settle(
  context: RunContext,
  batch: Batch,
  failures: readonly string[],
  possibleReasons: string,
): Promise<void> {
  const { services, run } = context;
  const refused = new Map<string, Rejected>();
  const entries = failures.length === 0 ? [] : await plannedIn(services.database.reader, run, batch);
  const byKey = new Map(entries.map((entry) => [entry.emailKey, entry]));
  const failed = attributeFailures(failures, [...byKey.keys()]);
  if (failed === undefined) {
    await leaveUnconfirmed(context, batch, UNKNOWN_FAILURE);
    return;
  }
  for (const key of failed) {
    const entry = byKey.get(key);
    if (entry !== undefined) refused.set(key, { entry, detail: possibleReasons });
  }
  const newcomers = outcomeOfNewcomers(entries, ({ emailKey }) => refused.has(emailKey));
  await settleBatch(context, batch, [...refused.values()], entries.length === 0 ? {} : newcomers);
}

async function sendAgainOrGiveUp(
  context: RunContext,
  batch: Batch,
  detail: string,
): Promise<Parcel | undefined> {
  const { services, run, sending } = context;
  // Whatever it did has happened by now; the next attempt has a window of its own.
  Object.assign(batch, afterLoss(batch));
  if (sending.signal.aborted) {
    await leaveUnconfirmed(context, batch, detail);
    return undefined;
  }
  services.logger.warn({ batch: batch.id, why: detail }, 'batch lost');
  if (!(await loseBatch(context, batch, detail))) return undefined;
  const entries = await plannedIn(services.database.reader, run, batch);
  return { batch, entries, failures: 0, dueAt: 0 };
}

const UNKNOWN_FAILURE = 'The destination reported a failure that belongs to nobody of the batch.';
const NEVER_DECIDED = 'The destination accepted the batch, but never said what became of it.';
const UNASKABLE = {
  state: 'UNASKABLE',
  detail: 'The connection has no key any more that could ask what became of the batch.',
} as const;
const DEADLINE_PASSED = 'The run reached its deadline before the destination said what became of the batch.';
