import { openCredentials } from '../connections/credentials.js';
import { problemOf } from '../connections/problems.js';
import { FixCredentialsError, RetryLaterError, type ContactList } from '../destinations/destination.js';
import { Connection } from '../entities/connection.js';
import { ExportRun, ExportRunPhase, ExportRunState } from '../entities/export-run.js';
import type { Problem } from '../entities/problem.js';
import { SluiceError } from '../errors.js';
import { closeRun } from './close.js';
import { listGone, lookAgain } from './conditions.js';
import { deliver } from './deliver.js';
import { discardPreparation, prepare } from './prepare.js';
import {
  endSending,
  SendingEndedError,
  urgency,
  type EngineServices,
  type RunContext,
} from './run-context.js';
import { moveRun, RunMovedError, writeRun } from './run-states.js';
import { reportFailing } from './send.js';

/**
 * Works one run to its end:
 *
 * 1. look whether it may run and its list is there;
 * 2. prepare, unless an earlier worker did;
 * 3. send and confirm;
 * 4. look for the list once more: what went to a list that is gone has not arrived;
 * 5. close.
 *
 * Whatever ends the sending early (a cancel, a problem, the deadline) leads to 5.
 * @throws {ShutdownError} when the process stops, {RunMovedError} when somebody else took the run up: the run stays as
 *   it is.
 */
export async function workRun(context: RunContext): Promise<void> {
  const deadline = startDeadline(context);
  try {
    const skipped = await untilSendingEnds(context, async () => {
      if (isPrepared(context.run)) return null;
      await checkList(context);
      return prepare(context);
    });
    if (isPrepared(context.run)) {
      await deliver(context);
      await untilSendingEnds(context, () => checkList(context));
    }
    await endRun(context, skipped === 'ENDED' ? null : skipped);
  } finally {
    deadline.abort();
  }
}

/** Closes a run wherever it stands; half a preparation is taken back. @param skipped why nothing was to be planned. */
export async function endRun(context: RunContext, skipped: Problem | null = null): Promise<void> {
  if (!isPrepared(context.run)) await discardPreparation(context);
  await closeRun(context, skipped);
}

/**
 * Takes a run up: the first time it begins, with its connection as it is now; every other time its attempt rises, so
 * that a worker who still holds the old one cannot write any more.
 */
export async function takeUp(services: EngineServices, run: ExportRun): Promise<void> {
  await services.database.transact(async ({ manager, afterCommit }) => {
    // Since it was read, its export may have got another list or account, or somebody may have cancelled it.
    const { id, account, attempt, state } = run;
    const present = await manager.findOneBy(ExportRun, { id, account, attempt, state });
    if (present === null) throw new RunMovedError(id);
    Object.assign(run, present);
    if (run.state === ExportRunState.QUEUED) {
      const connection = await manager.findOneBy(Connection, { id: run.connectionId });
      await moveRun(manager, run, ExportRunState.RUNNING, {
        startedAt: new Date(services.clock.now()),
        phase: ExportRunPhase.PREPARING,
        connectionRevision: connection?.revision ?? run.connectionRevision,
      });
    } else {
      await writeRun(manager, run, { attempt: run.attempt + 1 });
    }
    afterCommit(() => services.hub.changed(run.id));
  });
}

function isPrepared(run: ExportRun): boolean {
  return run.phase === ExportRunPhase.SENDING || run.phase === ExportRunPhase.CONFIRMING;
}

async function untilSendingEnds<T>(context: RunContext, work: () => Promise<T>): Promise<T | 'ENDED'> {
  try {
    context.sending.signal.throwIfAborted();
    return await work();
  } catch (error: unknown) {
    if (error instanceof SendingEndedError) return 'ENDED';
    throw error;
  }
}

/**
 * Looks at the conditions, then for the list, however long the destination is away: whoever may not send has nothing to
 * ask there either. Without the list the run cannot succeed.
 */
async function checkList(context: RunContext): Promise<void> {
  const { run, services, limits, turns, pace, sending } = context;
  for (let waitMs = limits.retryIntervalMs; ; waitMs = Math.min(waitMs * 2, limits.retryIntervalMs * 60)) {
    const request = { kind: 'CALL', priority: () => urgency(context), signal: sending.signal } as const;
    const found = await turns.take(request, () => lookUpList(context));
    if (found instanceof RetryLaterError) {
      const pauseMs = found.afterMs ?? waitMs;
      if (found.tooFast) pace.pauseUntil(services.clock.now() + pauseMs);
      await services.clock.sleep(pauseMs, sending.signal);
      continue;
    }
    if (found === undefined) endSending(context, listGone(run.listId));
    return;
  }
}

async function lookUpList(context: RunContext): Promise<ContactList | undefined | RetryLaterError> {
  const { run, services, destination } = context;
  try {
    const conditions = await lookAgain(services.database.reader, run);
    if (conditions.problem === null) {
      return await destination.list(openCredentials(services, conditions.connection), run.listId);
    }
    endSending(context, conditions.problem);
  } catch (error: unknown) {
    if (error instanceof RetryLaterError) return error;
    if (error instanceof FixCredentialsError) await reportFailing(context, error);
    else if (error instanceof SluiceError) endSending(context, problemOf(error));
    else throw error;
  }
  throw new SendingEndedError('The run may not go on.');
}

/** Ends sending and asking when the run has taken too long; the returned controller calls it off. */
function startDeadline(context: RunContext): AbortController {
  const callOff = new AbortController();
  const { clock, runDeadlineMs } = context.services;
  clock.sleep(runDeadlineMs, callOff.signal).then(
    () => {
      const problem = deadlinePassed(runDeadlineMs);
      endSending(context, problem);
      context.asking.abort(new SendingEndedError(problem.message));
    },
    () => {
      // Called off: the run ended in time.
    },
  );
  return callOff;
}

function deadlinePassed(deadlineMs: number): Problem {
  return {
    code: 'DEADLINE_PASSED',
    message: `The run was not done after ${Math.round(deadlineMs / 60_000)} minutes.`,
    remedy:
      'Look whether the destination is slow or away, then run the export again: it sends what is missing.',
  };
}
