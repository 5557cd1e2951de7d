import type { Batch } from '../entities/batch.js';
import { Connection } from '../entities/connection.js';
import {
  FixCredentialsError,
  RetryLaterError,
  type Credentials,
  type Outcome,
} from '../destinations/destination.js';
import { openCredentials } from '../connections/credentials.js';
import { ConnectionFailedError } from '../errors.js';
import { leaveUnconfirmed, MAX_LOSSES, replanBatch, settleBatch, type Refusal } from './batches.js';
import type { PlannedEntry } from './ledger.js';
import { emailKeyOf } from './mapping.js';
import { SendingEndedError, urgency, type RunContext } from './run-context.js';
import { reportFailing } from './send.js';

/** A batch without an outcome is not given up before it was asked about this often, however late the answers come. */
const MIN_QUESTIONS = 5;

/**
 * Asks about an accepted batch until it is decided.
 * @returns whether the destination lost it and it is to be sent again.
 * @throws {ShutdownError} when the process stops; the receipt is kept, and followed up after the next start.
 */
export async function followUp(
  context: RunContext,
  batch: Batch,
  entries: readonly PlannedEntry[],
): Promise<'DECIDED' | 'SEND_AGAIN'> {
  const { services, limits, run } = context;
  const lostAt = (batch.acceptedAt?.getTime() ?? 0) + limits.lostAfterMs;
  let waitMs = limits.outcomeIntervalMs;
  for (let questions = 1; ; questions += 1) {
    const answer = await ask(context, batch, waitMs);
    if (answer.state === 'COMPLETED') {
      const refused = matchFailures(entries, answer.failures, answer.possibleReasons);
      if (refused === undefined) await giveUp(context, batch, entries, UNKNOWN_FAILURE);
      else await settleBatch(services, run, batch, refused);
      return 'DECIDED';
    }
    if (answer.state === 'UNASKABLE') {
      await giveUp(context, batch, entries, answer.detail);
      return 'DECIDED';
    }
    const silent = services.clock.now() >= lostAt && questions >= MIN_QUESTIONS;
    if (answer.state === 'LOST' || silent) {
      const detail = answer.state === 'LOST' ? answer.detail : NEVER_DECIDED;
      return sendAgainOrGiveUp(context, batch, entries, detail);
    }
    waitMs = answer.waitMs ?? limits.outcomeIntervalMs;
  }
}

/** What a question brought. UNASKABLE: there is no way to learn the outcome in this run. */
type Answer =
  | Exclude<Outcome, { state: 'PENDING' }>
  | { readonly state: 'PENDING'; readonly waitMs?: number }
  | { readonly state: 'UNASKABLE'; readonly detail: string };

async function ask(context: RunContext, batch: Batch, waitMs: number): Promise<Answer> {
  const { services, turns, asking, destination, limits, pace } = context;
  try {
    await services.clock.sleep(waitMs, asking.signal);
    const credentials = await credentialsFor(context);
    if (credentials === undefined) return { state: 'UNASKABLE', detail: NO_CREDENTIALS };
    const request = { kind: 'CALL', priority: () => urgency(context), signal: asking.signal } as const;
    return await turns.take(request, () => destination.outcome(credentials, batch.receipt ?? ''));
  } catch (error: unknown) {
    if (error instanceof RetryLaterError) {
      const againMs = error.afterMs ?? limits.outcomeIntervalMs;
      if (error.tooFast) pace.pauseUntil(services.clock.now() + againMs);
      return { state: 'PENDING', waitMs: againMs };
    }
    if (error instanceof FixCredentialsError) {
      await reportFailing(context, error);
      return { state: 'UNASKABLE', detail: error.message };
    }
    if (error instanceof SendingEndedError) return { state: 'UNASKABLE', detail: DEADLINE_PASSED };
    throw error;
  }
}

/**
 * A receipt is followed up even after consent was withdrawn or the export was detached: the question carries no profile
 * data. It needs a key for the account that gave the receipt.
 */
async function credentialsFor({ run, services }: RunContext): Promise<Credentials | undefined> {
  const connection = await services.database.reader.findOneBy(Connection, { id: run.connectionId });
  if (connection?.account !== run.account) return undefined;
  try {
    return openCredentials(services, connection);
  } catch (error: unknown) {
    if (error instanceof ConnectionFailedError) return undefined;
    throw error;
  }
}

/** Who of the batch failed; undefined if a failure is nobody of the batch, so that nothing is certain. */
function matchFailures(
  entries: readonly PlannedEntry[],
  failures: readonly string[],
  detail: string,
): Refusal[] | undefined {
  const byKey = new Map(entries.map((entry) => [entry.emailKey, entry]));
  const refused = new Map<string, Refusal>();
  for (const failure of failures) {
    const entry = byKey.get(emailKeyOf(failure));
    if (entry === undefined) return undefined;
    refused.set(entry.emailKey, { entry, detail });
  }
  return [...refused.values()];
}

async function sendAgainOrGiveUp(
  context: RunContext,
  batch: Batch,
  entries: readonly PlannedEntry[],
  detail: string,
): Promise<'DECIDED' | 'SEND_AGAIN'> {
  if (batch.losses < MAX_LOSSES && !context.sending.signal.aborted) {
    context.services.logger.warn({ runId: context.run.id, batch: batch.id, why: detail }, 'batch lost');
    await replanBatch(context.services, context.run, batch, { lost: true });
    return 'SEND_AGAIN';
  }
  await giveUp(context, batch, entries, detail);
  return 'DECIDED';
}

async function giveUp(
  { services, run }: RunContext,
  batch: Batch,
  entries: readonly PlannedEntry[],
  detail: string,
): Promise<void> {
  await leaveUnconfirmed(services, run, batch, entries, detail);
}

const UNKNOWN_FAILURE = 'The destination reported a failure that belongs to nobody of the batch.';
const NEVER_DECIDED = 'The destination accepted the batch, but never said what became of it.';
const NO_CREDENTIALS = 'The connection has no key any more that could ask what became of the batch.';
const DEADLINE_PASSED = 'The run reached its deadline before the destination said what became of the batch.';
