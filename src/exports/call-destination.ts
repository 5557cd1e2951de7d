import { instantOf, isWithin, systemClock, type Instant } from '../clock.js';
import { FixCredentialsError, RetryLaterError, type Credentials } from '../destinations/destination.js';
import type { EntityManager } from 'typeorm';
import { openCredentials } from '../connections/credentials.js';
import { problemOf } from '../connections/problems.js';
import { Connection, ConnectionState } from '../entities/connection.js';
import { ExportRunState } from '../entities/export-run.js';
import type { Problem } from '../entities/problem.js';
import { SluiceError } from '../errors.js';
import { lookAgain } from './conditions.js';
import { assertTenure, RunTakenError, transactAs } from './fence.js';
import { endSending, SendingEndedError, type RunContext } from './run-context.js';
import type { Second } from './turns.js';

/** Pauses between tries double up to this many times the first. */
export const MAX_BACKOFF = 60;

/** What a run may send with now, or why it may not any more. */
export type Proof = Proven | { readonly problem: Problem };

interface Proven {
  readonly credentials: Credentials;
  /** When the proof was asked for, by the machine's time: see `isFresh`. */
  readonly provenAt: Instant;
}

/** Shorter than any process is silent before somebody else takes its accounts over. */
const FRESH_MS = 4_000;

/**
 * Whether what was proven may still be relied on when the request begins. A process may stand still in between, for long:
 * by the machine's time, whatever our clock shows.
 */
export function isFresh({ provenAt }: Pick<Proven, 'provenAt'>): boolean {
  return isWithin(systemClock, provenAt, FRESH_MS);
}

/**
 * Proves that the run is still in these hands and may send: to be done right before every request that carries
 * somebody's data.
 * @throws {RunTakenError} if somebody else took the run up, {SendingEndedError} if it was cancelled.
 */
export async function prove(manager: EntityManager, { run, services }: RunContext): Promise<Proof> {
  // Before the first question: a process may also stand still while an answer waits for it.
  const provenAt = instantOf(systemClock);
  await assertTenure(manager, services, run);
  const look = await lookAgain(manager, run);
  if (look === undefined) throw new RunTakenError(run.id);
  if (look.state !== ExportRunState.RUNNING) throw new SendingEndedError('The run was cancelled.');
  if (look.problem !== null) return { problem: look.problem };
  try {
    return { credentials: openCredentials(services, look.connection), provenAt };
  } catch (error: unknown) {
    // The server has lost its secret key: nothing is sent.
    if (error instanceof SluiceError) return { problem: problemOf(error) };
    throw error;
  }
}

/**
 * As `prove`, for whoever makes a call right after it.
 * @throws {SendingEndedError} if the run may not send; {RunTakenError} if somebody else took the run up.
 */
export async function permit(manager: EntityManager, context: RunContext): Promise<Proven> {
  const proof = await prove(manager, context);
  if (!('problem' in proof)) return proof;
  endSending(context, proof.problem);
  throw new SendingEndedError(proof.problem.message);
}

/**
 * Makes one call in the account's turns, however long the destination is away, and proves before each try that the run
 * may go on.
 * @param options.maxTries how often a refusal that names no time is believed to pass.
 * @throws {SendingEndedError} when it may not; {RetryLaterError} after the last try; whatever else `perform` throws.
 */
export async function callDestination<T>(
  context: RunContext,
  perform: (credentials: Credentials) => Promise<T>,
  { maxTries = Infinity } = {},
): Promise<T> {
  const { services, limits, sending } = context;
  let tries = 0;
  for (
    let waitMs = limits.retryIntervalMs;
    ;
    waitMs = Math.min(waitMs * 2, limits.retryIntervalMs * MAX_BACKOFF)
  ) {
    try {
      tries += 1;
      return await callOnce(context, perform, { restMs: waitMs });
    } catch (error: unknown) {
      if (!(error instanceof RetryLaterError)) throw error;
      if (tries >= maxTries && error.afterMs === undefined && !error.tooFast) throw error;
      await services.clock.sleep(error.afterMs ?? waitMs, sending.signal);
    }
  }
}

/**
 * Whether the destination is away: whoever got no usable answer to a question about one person or one batch asks so,
 * because only a destination that answers another question has something against that one. If it is away, this waits
 * until it answers.
 * @throws {SendingEndedError} when the run may not go on.
 */
export async function waitWhileAway(context: RunContext): Promise<boolean> {
  const { run, destination } = context;
  let tries = 0;
  await callDestination(context, (credentials) => {
    tries += 1;
    return destination.list(credentials, run.listId);
  });
  return tries > 1;
}

interface OneCall {
  /** PAIR: `perform` makes two calls, see `Turns.take`. */
  readonly kind?: 'CALL' | 'PAIR';
  /** How long the account rests if it is called too often and the destination names no time; in milliseconds. */
  readonly restMs?: number;
}

/**
 * Makes one call in the account's turns, once, and proves before it that the run may go on.
 * @throws {SendingEndedError} when it may not; {RetryLaterError}; whatever else `perform` throws.
 */
export async function callOnce<T>(
  context: RunContext,
  perform: (credentials: Credentials, second: Second) => Promise<T>,
  { kind = 'CALL', restMs = context.limits.retryIntervalMs }: OneCall = {},
): Promise<T> {
  const { services, turns, sending, pace } = context;
  let proven: Proven | undefined;
  const proveNow = async () => {
    proven = await permit(services.database.reader, context);
    return proven;
  };
  const request = {
    kind,
    priority: context.urgency,
    signal: sending.signal,
    prepare: async () => {
      await proveNow();
    },
  } as const;
  try {
    return await turns.take(request, async (second) => {
      if (proven === undefined || !isFresh(proven)) proven = await proveNow();
      try {
        return await perform(proven.credentials, second);
      } catch (error: unknown) {
        // Within the turn: whoever has the next one waits as well.
        if (error instanceof RetryLaterError && error.tooFast) {
          pace.pauseUntil(services.clock.monotonic() + (error.afterMs ?? restMs));
        }
        throw error;
      }
    });
  } catch (error: unknown) {
    if (error instanceof RetryLaterError) context.trouble = problemOf(error);
    if (!(error instanceof FixCredentialsError)) throw error;
    await reportFailing(context, error);
    throw new SendingEndedError(error.message);
  }
}

/** The credentials are refused: the run ends its sending, and the connection shows why. */
export async function reportFailing(context: RunContext, error: FixCredentialsError): Promise<void> {
  const { run, services } = context;
  const problem = problemOf(error);
  await transactAs(services, run, async ({ manager }) => {
    await manager.update(
      Connection,
      { id: run.connectionId, revision: run.connectionRevision },
      { state: ConnectionState.FAILING, problem },
    );
  });
  endSending(context, problem);
}
