import type { EntityManager } from 'typeorm';
import type { ExportRunState } from '../entities/export-run.js';
import { UNFINISHED } from './run-states.js';

/** What is still to be done in the whole installation, whichever process does it. */
export interface Backlog {
  /** How many runs are in each state that they can still leave. */
  readonly runs: ReadonlyMap<ExportRunState, number>;
  /** Runs that no worker has taken up, although nothing of their export is under way or held. */
  readonly waiting: number;
  /** Since when the longest of these waits, in ms since 1970; undefined: none does. */
  readonly waitingSince: number | undefined;
}

/** Two counts over the partial index of unfinished runs, whose few rows are all that they read. */
export async function readBacklog(reader: EntityManager): Promise<Backlog> {
  // Counts come as text from Postgres.
  const counts: { state: ExportRunState; count: number | string }[] = await reader.query(
    `SELECT "state", COUNT(*) AS "count" FROM "export_runs"
     WHERE "state" IN ('QUEUED', 'RUNNING', 'HELD', 'CANCELING') GROUP BY "state"`,
  );
  const [waits]: { count: number | string; since: string | null }[] = await reader.query(
    `SELECT COUNT(*) AS "count", MIN(run."queuedAt") AS "since" FROM "export_runs" AS run
     WHERE run."state" = 'QUEUED' AND NOT EXISTS (
       SELECT 1 FROM "export_runs" AS before
       WHERE before."exportId" = run."exportId" AND before."state" IN ('RUNNING', 'HELD', 'CANCELING'))`,
  );
  const found = new Map(counts.map(({ state, count }) => [state, Number(count)]));
  return {
    runs: new Map(UNFINISHED.map((state) => [state, found.get(state) ?? 0])),
    waiting: Number(waits?.count ?? 0),
    waitingSince: waits?.since == null ? undefined : Date.parse(waits.since),
  };
}
