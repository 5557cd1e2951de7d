import { Connection } from '../entities/connection.js';
import { ExportRun, ExportRunPhase, ExportRunState } from '../entities/export-run.js';
import type { Problem } from '../entities/problem.js';
import { accountLane } from '../lanes.js';
import { callDestination } from './call-destination.js';
import { closeRun } from './close.js';
import { listGone } from './conditions.js';
import { assertTenure, type Tenant } from './fence.js';
import { deliver } from './deliver.js';
import { askAboutPastBatches } from './past-batches.js';
import { discardPreparation, prepare, type Preparation } from './prepare.js';
import { endSending, SendingEndedError, type EngineServices, type RunContext } from './run-context.js';
import { moveRun, RunMovedError, writeRun } from './run-states.js';

/**
 * Works one run to its end:
 *
 * 1. look whether it may run and its list is there;
 * 2. ask what became of what earlier runs sent, and prepare, unless an earlier worker did;
 * 3. send and confirm;
 * 4. look for the list once more: what went to a list that is gone has not arrived;
 * 5. close.
 *
 * Only a few runs of an account are at 1 and 2 at a time, and only a few of all accounts prepare (see preparing-places.ts). A run
 * that is held after 2 is left as it is. Whatever ends the sending early (a cancel, a problem, the deadline) leads to 5.
 * @throws {ShutdownError} when the process stops, {RunMovedError} when somebody else took the run up: the run stays as
 *   it is.
 */
export async function workRun(context: RunContext): Promise<void> {
  const deadline = startDeadline(context);
  try {
    const preparation = await untilSendingEnds(context, async (): Promise<Preparation> => {
      if (isPrepared(context.run)) return { state: 'READY' };
      await checkList(context);
      context.sending.signal.throwIfAborted();
      await askAboutPastBatches(context);
      const leave = await context.services.preparingPlaces.enter(context.sending.signal);
      return prepare(context).finally(leave);
    }).finally(context.prepared);
    if (preparation !== 'ENDED' && preparation.state === 'HELD') return;
    if (isPrepared(context.run)) {
      await deliver(context);
      await untilSendingEnds(context, () => checkList(context));
    }
    const isSkipped = preparation !== 'ENDED' && preparation.state === 'SKIPPED';
    await endRun(context, isSkipped ? preparation.problem : null);
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
export async function takeUp(services: EngineServices & Tenant, run: ExportRun): Promise<void> {
  await services.database.transact(async ({ manager, afterCommit }) => {
    await assertTenure(manager, services, run);
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
    afterCommit(() => {
      services.hub.changed(run.id);
      const taken = { exportId: run.exportId, account: run.account, attempt: run.attempt };
      services.logger.info(taken, 'run taken up');
    });
  }, accountLane(run.account));
}

/** Whether what is to be sent is planned: from then on a run needs no place to prepare. */
export function isPrepared(run: ExportRun): boolean {
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

/** Without its list a run cannot succeed. */
async function checkList(context: RunContext): Promise<void> {
  const { run, destination } = context;
  const list = await callDestination(context, (credentials) => destination.list(credentials, run.listId));
  if (list === undefined) endSending(context, listGone(run.listId));
}

/** Ends sending and asking when the run has taken too long; the returned controller calls it off. */
function startDeadline(context: RunContext): AbortController {
  const callOff = new AbortController();
  const { clock, runDeadlineMs } = context.services;
  clock.sleep(runDeadlineMs, callOff.signal).then(
    () => {
      const problem = deadlinePassed(runDeadlineMs, context.trouble);
      endSending(context, problem);
      context.asking.abort(new SendingEndedError(problem.message));
    },
    () => {
      // Called off: the run ended in time.
    },
  );
  return callOff;
}

function deadlinePassed(deadlineMs: number, trouble: Problem | null): Problem {
  const minutes = Math.round(deadlineMs / 60_000);
  const cause = trouble === null ? '' : ` The last trouble: ${trouble.message}`;
  return {
    code: 'DEADLINE_PASSED',
    message: `The run was not done after ${minutes} minutes.${cause}`,
    remedy:
      'Look whether the destination is slow or away, then run the export again: it sends what is missing.',
  };
}
