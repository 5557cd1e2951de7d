import { In, type EntityManager } from 'typeorm';
import type { QueryDeepPartialEntity } from 'typeorm/query-builder/QueryPartialEntity.js';
import { execute } from '../bulk-sql.js';
import { ExportRun, ExportRunState } from '../entities/export-run.js';

/**
 * A run begins QUEUED. A worker takes it up: RUNNING. Somebody may ask for an end: a queued run is CANCELED at once, a
 * running one is CANCELING while what the destination accepted is followed up, then CANCELED. A running run ends by
 * itself as SUCCEEDED, SUCCEEDED_WITH_WARNINGS, FAILED or, before anything was sent, SKIPPED. Final states have no exits.
 * What a schedule or a refresh would have started, but could not, begins and ends as SKIPPED (see queue-run.ts).
 *
 * A running run that would do harm (see hold.ts) is HELD before anything was sent. No worker holds it then: it waits for a
 * person, across restarts. Approved, it is RUNNING again and prepares anew; cancelled, or left alone for too long, it is
 * CANCELING, and the next worker ends it. Until then it counts as its export's one run under way.
 */
const NEXT: Record<ExportRunState, readonly ExportRunState[]> = {
  QUEUED: [ExportRunState.RUNNING, ExportRunState.CANCELED],
  RUNNING: [
    ExportRunState.HELD,
    ExportRunState.CANCELING,
    ExportRunState.SUCCEEDED,
    ExportRunState.SUCCEEDED_WITH_WARNINGS,
    ExportRunState.FAILED,
    ExportRunState.SKIPPED,
  ],
  HELD: [ExportRunState.RUNNING, ExportRunState.CANCELING],
  CANCELING: [ExportRunState.CANCELED],
  SUCCEEDED: [],
  SUCCEEDED_WITH_WARNINGS: [],
  FAILED: [],
  CANCELED: [],
  SKIPPED: [],
};

/** The states in which a worker holds the run. */
export const ACTIVE = [ExportRunState.RUNNING, ExportRunState.CANCELING];

/** The states of which an export has one run at most. */
export const UNDER_WAY = [...ACTIVE, ExportRunState.HELD];

/** The states that a run can still leave. */
export const UNFINISHED = Object.values(ExportRunState).filter((state) => NEXT[state].length > 0);

/** Whether the state has no exits. */
export function isFinal(state: ExportRunState): boolean {
  return NEXT[state].length === 0;
}

/** The counters that grow while a run goes on. */
export type Counter =
  | 'skipped'
  | 'unchanged'
  | 'leavers'
  | 'toSend'
  | 'newcomers'
  | 'newcomersRefused'
  | 'accepted'
  | 'confirmed'
  | 'rejected'
  | 'unconfirmed';

/** The run is not where its writer believed it to be: somebody else works on it, or has ended it. */
export class RunMovedError extends Error {
  constructor(runId: string) {
    super(`The run ${runId} was moved by somebody else.`);
    this.name = 'RunMovedError';
  }
}

/**
 * Moves the run to another state, if it is still at the state and attempt that `run` shows, and changes `run` alike.
 * @throws {RunMovedError} otherwise, so that the transaction rolls back.
 */
export async function moveRun(
  manager: EntityManager,
  run: ExportRun,
  to: ExportRunState,
  also: Partial<ExportRun> = {},
): Promise<void> {
  if (!NEXT[run.state].includes(to)) throw new Error(`A run cannot go from ${run.state} to ${to}`);
  await update(manager, run, [run.state], { ...also, state: to });
}

/**
 * Changes columns of a run that is not at an end and still at the attempt that `run` shows, and changes `run` alike.
 * @throws {RunMovedError} if somebody else took the run up.
 */
export async function writeRun(
  manager: EntityManager,
  run: ExportRun,
  changes: Partial<ExportRun>,
): Promise<void> {
  await update(manager, run, UNFINISHED, changes);
}

async function update(
  manager: EntityManager,
  run: ExportRun,
  states: readonly ExportRunState[],
  changes: Partial<ExportRun>,
): Promise<void> {
  const { affected } = await manager
    .createQueryBuilder()
    .update(ExportRun)
    .set({ ...(changes as QueryDeepPartialEntity<ExportRun>), sequence: () => '"sequence" + 1' })
    .where({ id: run.id, attempt: run.attempt, state: In(states) })
    .execute();
  if (affected !== 1) throw new RunMovedError(run.id);
  Object.assign(run, changes);
  run.sequence += 1;
}

/**
 * Adds to a run's counters, if it is still held by the same attempt; call it in the transaction that decides the people
 * who are counted. This is the fence of the design: a worker that was thought dead holds an old attempt and cannot write.
 * @throws {RunMovedError} if somebody else took the run up.
 */
export async function count(
  manager: EntityManager,
  run: ExportRun,
  added: Partial<Record<Counter, number>>,
): Promise<void> {
  const sums = Object.entries(added).map(([counter, by]) => `"${counter}" = "${counter}" + ${by}`);
  const affected = await execute(
    manager,
    `UPDATE "export_runs" SET ${['"sequence" = "sequence" + 1', ...sums].join(', ')}
     WHERE "id" = $1 AND "attempt" = $2 AND "state" IN ('RUNNING', 'CANCELING')`,
    [run.id, run.attempt],
  );
  if (affected !== 1) throw new RunMovedError(run.id);
}

/** The same for the worker's own copy of the run, once the transaction is durable. */
export function addUp(run: ExportRun, added: Partial<Record<Counter, number>>): void {
  for (const [counter, by] of Object.entries(added)) run[counter as Counter] += by;
}
