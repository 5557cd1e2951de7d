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
  const { services, limits, pace, sending } = context;
  let tries = 0;
  for (
    let waitMs = limits.retryIntervalMs;
    ;
    waitMs = Math.min(waitMs * 2, limits.retryIntervalMs * MAX_BACKOFF)
  ) {
    try {
      tries += 1;
      return await callOnce(context, perform);
    } catch (error: unknown) {
      if (error instanceof FixCredentialsError) {
        await reportFailing(context, error);
        throw new SendingEndedError(error.message);
      }
      if (!(error instanceof RetryLaterError)) throw error;
      context.trouble = problemOf(error);
      if (tries >= maxTries && error.afterMs === undefined && !error.tooFast) throw error;
      const pauseMs = error.afterMs ?? waitMs;
      if (error.tooFast) pace.pauseUntil(services.clock.monotonic() + pauseMs);
      await services.clock.sleep(pauseMs, sending.signal);
    }
  }
}

async function callOnce<T>(
  context: RunContext,
  perform: (credentials: Credentials) => Promise<T>,
): Promise<T> {
  const { services, turns, sending } = context;
  let proven: Proven | undefined;
  const proveNow = async () => {
    const proof = await prove(services.database.reader, context);
    if ('problem' in proof) {
      endSending(context, proof.problem);
      throw new SendingEndedError(proof.problem.message);
    }
    proven = proof;
    return proof;
  };
  const request = {
    kind: 'CALL',
    priority: context.urgency,
    signal: sending.signal,
    prepare: async () => {
      await proveNow();
    },
  } as const;
  return turns.take(request, async () => {
    if (proven === undefined || !isFresh(proven)) proven = await proveNow();
    return perform(proven.credentials);
  });
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
