import { In, type EntityManager } from 'typeorm';
import { Batch, BatchState } from '../entities/batch.js';
import { ExportRun, ExportRunState } from '../entities/export-run.js';
import type { Problem } from '../entities/problem.js';
import { Rejection, RejectionReason } from '../entities/rejection.js';
import { accountFull } from './account-full.js';
import { leaveUnconfirmed } from './batches.js';
import { transactAs } from './fence.js';
import { forgetRefusals } from './ledger.js';
import { countPlanned } from './planned.js';
import type { RunContext } from './run-context.js';
import { moveRun, RunMovedError } from './run-states.js';
import { isPause } from './show-pause.js';

/**
 * Ends a run that has nothing under way any more: what was never sent is counted, the counters are checked against the
 * ledger, and the final state is written.
 * @param skipped why the run ends before anything was planned, if it does.
 */
export async function closeRun(context: RunContext, skipped: Problem | null = null): Promise<void> {
  const { services, run } = context;
  await endUnknownBatches(context);
  const full = await accountFull(context);
  if (full !== undefined) await forgetRefusals(services, run);
  const problem = context.problem ?? full ?? null;
  // They stay marked with the run's number, which no other run of the export ever has.
  const notSent = run.ledgerId === null ? 0 : await countPlanned(services.database.scanner, run);
  await transactAs(services, run, async ({ manager, afterCommit }) => {
    // The row counts, not this worker's copy: somebody may have asked for an end a moment ago.
    const { id, attempt } = run;
    const present = await manager.findOneBy(ExportRun, { id, attempt });
    if (present === null) throw new RunMovedError(id);
    Object.assign(run, present);
    const unsent = { runId: run.id, state: BatchState.PLANNED };
    const { affected: dropped } = await manager.update(Batch, unsent, { state: BatchState.DROPPED });
    const badAddresses = await manager.countBy(Rejection, {
      runId: run.id,
      reason: In([RejectionReason.MISSING_EMAIL, RejectionReason.INVALID_EMAIL]),
    });
    const disagreement = await disagreementOf(manager, run, notSent);
    if (disagreement !== undefined) services.logger.error({ disagreement }, 'counters disagree');
    const end = finalState(run, { problem, skipped, notSent, badAddresses, disagreement });
    await moveRun(manager, run, end.state, {
      problem: end.problem,
      notSent,
      phase: null,
      finishedAt: new Date(services.clock.now()),
    });
    afterCommit(() => {
      services.hub.changed(run.id);
      services.logger.info({ state: end.state, problem: end.problem?.code, ...figuresOf(run) }, 'run ended');
      services.metrics.runEnded(end.state);
      services.metrics.decided({ notSent });
      services.metrics.batchesBecame(BatchState.DROPPED, dropped ?? 0);
    });
  });
}

function figuresOf(run: ExportRun) {
  const { attempt, members, skipped, unchanged, toSend, confirmed, rejected, unconfirmed, notSent } = run;
  return { attempt, members, skipped, unchanged, toSend, confirmed, rejected, unconfirmed, notSent };
}

/** What may have arrived, or was accepted, when the run ended is unconfirmed, not unsent. */
async function endUnknownBatches(context: RunContext): Promise<void> {
  const { services, run } = context;
  const unknown = await services.database.reader.findBy(Batch, [
    { runId: run.id, state: In([BatchState.SENDING, BatchState.ACCEPTED]) },
    { runId: run.id, state: BatchState.PLANNED, mayHaveArrived: true },
  ]);
  for (const batch of unknown) await leaveUnconfirmed(context, batch, ANSWER_NEVER_CAME);
}

const REJECTED = [RejectionReason.REFUSED_BY_DESTINATION, RejectionReason.OPTED_OUT];

/** Where the counters contradict the ledger, the batches or the rejections: a bug of ours, told rather than covered. */
async function disagreementOf(
  manager: EntityManager,
  run: ExportRun,
  notSent: number,
): Promise<string | undefined> {
  const { members, skipped, unchanged, leavers, toSend, confirmed, rejected, unconfirmed } = run;
  const sum = async (column: 'confirmed' | 'unconfirmed') =>
    (await manager.sum(Batch, column, { runId: run.id })) ?? 0;
  const facts: [what: string, counted: number, found: number][] = [
    ['members', members ?? 0, skipped + unchanged + (toSend - leavers)],
    ['to send', toSend, confirmed + rejected + unconfirmed + notSent],
    ['confirmed', confirmed, await sum('confirmed')],
    ['rejected', rejected, await manager.countBy(Rejection, { runId: run.id, reason: In(REJECTED) })],
    ['unconfirmed', unconfirmed, await sum('unconfirmed')],
    ['rejections', skipped + rejected + unconfirmed, await manager.countBy(Rejection, { runId: run.id })],
  ];
  const wrong = facts.find(([, counted, found]) => counted !== found);
  return wrong && `${wrong[0]}: ${wrong[1]} counted, ${wrong[2]} found`;
}

function finalState(
  run: ExportRun,
  facts: {
    problem: Problem | null;
    skipped: Problem | null;
    notSent: number;
    badAddresses: number;
    disagreement: string | undefined;
  },
): { state: ExportRunState; problem: Problem | null } {
  const { problem, skipped, notSent, badAddresses, disagreement } = facts;
  // A run that was held keeps what it was held for.
  if (run.state === ExportRunState.CANCELING)
    return {
      state: ExportRunState.CANCELED,
      problem: problem ?? (isPause(run.problem) ? null : run.problem),
    };
  if (skipped !== null) return { state: ExportRunState.SKIPPED, problem: skipped };
  if (disagreement !== undefined)
    return { state: ExportRunState.FAILED, problem: problem ?? COUNTERS_DISAGREE };
  const nobodyPlanned = run.members === null;
  if (notSent > 0 || problem?.code === 'LIST_GONE' || (problem !== null && nobodyPlanned)) {
    return { state: ExportRunState.FAILED, problem };
  }
  const warned = problem !== null || run.rejected + run.unconfirmed + badAddresses > 0;
  return { state: warned ? ExportRunState.SUCCEEDED_WITH_WARNINGS : ExportRunState.SUCCEEDED, problem };
}

const ANSWER_NEVER_CAME = 'The run ended before the destination said what became of the batch.';

const COUNTERS_DISAGREE: Problem = {
  code: 'COUNTERS_DISAGREE',
  message: 'The figures of the run contradict the ledger. This is an error in Sluice.',
  remedy: 'Please report it with the log of this run; running the export again sends what is missing.',
};
