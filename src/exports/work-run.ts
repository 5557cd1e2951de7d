import { openCredentials } from '../connections/credentials.js';
import { problemOf } from '../connections/problems.js';
import { FixCredentialsError, RetryLaterError, type ContactList } from '../destinations/destination.js';
import { Connection } from '../entities/connection.js';
import { ExportRunPhase, ExportRunState, type ExportRun } from '../entities/export-run.js';
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
import { moveRun, writeRun } from './run-states.js';
import { reportFailing } from './send.js';

/**
 * Works one run to its end:
 *
 * 1. look whether it may run, and whether its list is there;
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
      await checkConditions(context);
      await checkList(context);
      return prepare(context);
    });
    if (skipped !== null && skipped !== 'ENDED') {
      await closeRun(context, skipped);
      return;
    }
    if (isPrepared(context.run)) {
      await deliver(context);
      await untilSendingEnds(context, () => checkList(context));
    } else {
      await discardPreparation(context);
    }
    await closeRun(context);
  } finally {
    deadline.abort();
  }
}

/**
 * Takes a run up: the first time it begins, with its connection as it is now; every other time its attempt rises, so
 * that a worker who still holds the old one cannot write any more.
 */
export async function takeUp(services: EngineServices, run: ExportRun): Promise<void> {
  await services.database.transact(async ({ manager, afterCommit }) => {
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

async function checkConditions(context: RunContext): Promise<void> {
  const { problem } = await lookAgain(context.services.database.reader, context.run);
  if (problem === null) return;
  endSending(context, problem);
  context.sending.signal.throwIfAborted();
}

/** Looks the list up, however long the destination is away. Not there: the run cannot succeed. */
async function checkList(context: RunContext): Promise<void> {
  const { run, services, limits, turns, sending } = context;
  for (let waitMs = limits.retryIntervalMs; ; waitMs = Math.min(waitMs * 2, limits.retryIntervalMs * 60)) {
    const request = { kind: 'CALL', priority: () => urgency(context), signal: sending.signal } as const;
    const found = await turns.take(request, () => lookUpList(context));
    if (found === 'LATER') {
      await services.clock.sleep(waitMs, sending.signal);
      continue;
    }
    if (found === undefined) endSending(context, listGone(run.listId));
    return;
  }
}

async function lookUpList(context: RunContext): Promise<ContactList | undefined | 'LATER'> {
  const { run, services, destination } = context;
  try {
    const connection = await services.database.reader.findOneByOrFail(Connection, { id: run.connectionId });
    return await destination.list(openCredentials(services, connection), run.listId);
  } catch (error: unknown) {
    if (error instanceof RetryLaterError) return 'LATER';
    if (error instanceof FixCredentialsError) await reportFailing(context, error);
    else if (error instanceof SluiceError) endSending(context, problemOf(error));
    else throw error;
    throw new SendingEndedError(error.message);
  }
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
