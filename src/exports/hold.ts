import type { SignedInActor } from '../audit/record.js';
import type { Clock } from '../clock.js';
import type { Transaction } from '../database.js';
import { ExportRun, ExportRunPhase, ExportRunState } from '../entities/export-run.js';
import type { Problem } from '../entities/problem.js';
import { ConflictError, NotFoundError } from '../errors.js';
import type { Logger } from '../logger.js';
import { auditRun } from './audit-exports.js';
import type { Bell } from '../bell.js';
import type { ProgressHub } from './progress-hub.js';
import { moveRun } from './run-states.js';
import type { RunServices } from './runs.js';

/** How long a held run waits for somebody to decide (design, 3). */
const PATIENCE_DAYS = 7;
const DAY_MS = 24 * 60 * 60_000;

/** What decides whether a run would do harm. */
export interface LeaverFacts {
  /** Contacts that the run would take off the list. */
  readonly leavers: number;
  /** Contacts on the list that this export has delivered there. */
  readonly delivered: number;
  /** The share, in percent, above which the export holds its runs. */
  readonly holdPercent: number;
  /** How many leavers somebody has approved for this run; null: nobody was asked. */
  readonly approvedLeavers: number | null;
}

/**
 * Why the run must not go on before somebody has looked at it; null: it may. A segment that is emptied by mistake reads
 * just like one that everybody has left.
 */
export function leaverHold(facts: LeaverFacts): Problem | null {
  const { leavers, delivered, holdPercent, approvedLeavers } = facts;
  const isMuch = leavers * 100 > delivered * holdPercent || leavers >= delivered;
  if (leavers === 0 || !isMuch || leavers <= (approvedLeavers ?? 0)) return null;
  const [leaving, all, approved] = [leavers, delivered, approvedLeavers ?? 0].map((figure) =>
    figure.toLocaleString('en'),
  );
  // Rounded up, so that it never reads as if it were within the limit.
  const percent = Math.ceil((leavers * 1000) / Math.max(delivered, 1)) / 10;
  const message = `The run would take ${leaving} of the ${all} contacts that this export has delivered off the list (${percent} %)`;
  const limit =
    leavers >= delivered
      ? 'a run that takes all of them is always held'
      : `the export holds runs above ${holdPercent} %`;
  return {
    code: 'TOO_MANY_LEAVERS',
    message: `${message}; ${limit}${approvedLeavers === null ? '' : `; ${approved} were approved`}.`,
    remedy:
      'Look whether the segments of the export are as they should be; if so, approve the run (approveExportRun), else cancel it (cancelExportRun).',
  };
}

/**
 * Holds a run that prepares: nobody works it until somebody approves or cancels it. Its figures stay, so that people see
 * what they decide about; `run.leavers` is what an approval approves.
 * @throws {RunMovedError} if somebody cancelled it, or took it up, meanwhile.
 */
export async function holdRun(
  services: {
    readonly clock: Clock;
    readonly logger: Logger;
    readonly hub: ProgressHub;
    readonly heldBell: Bell;
  },
  { manager, afterCommit }: Transaction,
  run: ExportRun,
  problem: Problem,
): Promise<void> {
  await moveRun(manager, run, ExportRunState.HELD, {
    problem,
    phase: null,
    // It prepares anew when it goes on; until then nobody needs to keep these members.
    generations: null,
    heldAt: new Date(services.clock.now()),
  });
  afterCommit(() => {
    services.hub.changed(run.id);
    services.heldBell.ring();
    services.logger.warn({ leavers: run.leavers, problem: problem.code }, 'run held');
  });
}

/**
 * Lets a held run go on: it prepares again, and is held again if there are more leavers than it had when it was held.
 * @throws {NotFoundError}; {ConflictError} if it is not held.
 */
export async function approveRun(
  services: RunServices,
  actor: SignedInActor,
  id: string,
): Promise<ExportRun> {
  return services.database.transact(async (transaction) => {
    const { manager } = transaction;
    const run = await manager.findOneBy(ExportRun, { id });
    if (run === null) throw new NotFoundError('run');
    if (run.state !== ExportRunState.HELD) {
      throw new ConflictError(
        `The run is ${run.state}, not HELD: there is nothing to approve.`,
        'Look at its state and problem (exportRun); somebody else may have decided, or it was not held at all.',
      );
    }
    await moveRun(manager, run, ExportRunState.RUNNING, {
      phase: ExportRunPhase.PREPARING,
      problem: null,
      approvedLeavers: run.leavers,
    });
    const event = { at: new Date(services.clock.now()), actor, action: 'approveExportRun' };
    await auditRun(manager, event, ExportRunState.HELD, run, { approvedLeavers: run.leavers });
    await services.queue.ring(transaction, run.account);
    transaction.afterCommit(() => {
      services.hub.changed(id);
      services.logger.info({ runId: id, leavers: run.approvedLeavers }, 'run approved');
    });
    return run;
  });
}

/**
 * Asks the runs to end that nobody has approved within a week of being held.
 * @returns whether others are held, who may be forgotten later.
 */
export async function cancelForgottenRuns(services: RunServices): Promise<boolean> {
  const { database, clock, logger, queue, hub } = services;
  const isForgotten = ({ state, heldAt }: ExportRun) =>
    state === ExportRunState.HELD &&
    heldAt !== null &&
    clock.now() - heldAt.getTime() >= PATIENCE_DAYS * DAY_MS;
  const held = await database.reader.findBy(ExportRun, { state: ExportRunState.HELD });
  const forgotten = held.filter(isForgotten);
  for (const { id } of forgotten) {
    await database.transact(async (transaction) => {
      const { manager } = transaction;
      // Somebody may have decided a moment ago; it may even have been held again.
      const run = await manager.findOneBy(ExportRun, { id });
      if (run === null || !isForgotten(run)) return;
      await moveRun(manager, run, ExportRunState.CANCELING, {
        problem: forgottenBecause(run.problem),
        cancelRequestedAt: new Date(clock.now()),
      });
      await queue.ring(transaction, run.account);
      transaction.afterCommit(() => {
        hub.changed(id);
        logger.warn({ runId: id }, 'run is to end: nobody approved it');
      });
    });
  }
  return forgotten.length < held.length;
}

function forgottenBecause(held: Problem | null): Problem {
  return {
    code: 'HELD_TOO_LONG',
    message: `Nobody approved the run within ${PATIENCE_DAYS} days. ${held?.message ?? ''}`.trim(),
    remedy: 'Run the export again; if it is held again, approve it (approveExportRun) or mend its segments.',
  };
}
