import type { Clock } from '../clock.js';
import type { ExportRun } from '../entities/export-run.js';
import { createBell, type Bell } from '../bell.js';
import type { RunContext } from './run-context.js';
import { isPrepared } from './work-run.js';

interface WorkingRun {
  readonly context: RunContext;
  readonly done: Promise<void>;
}

/** The runs of an account that are in hand: hundreds, of which each question here concerns few. */
export interface WorkingRuns {
  readonly add: (context: RunContext, done: Promise<void>) => void;
  readonly remove: (run: ExportRun) => void;
  readonly get: (runId: string) => RunContext | undefined;
  readonly all: () => readonly WorkingRun[];
  readonly size: () => number;
  /** Which of them prepare. */
  readonly preparing: () => readonly string[];
  /** A queued run waits until the one before it has ended: runs of one export never overlap. */
  readonly mayStart: (run: ExportRun) => boolean;
  /** Whether another run that is under way goes to the same list. */
  readonly sharesList: (run: ExportRun) => boolean;
  /** Rung for the runs to a list: what happens at others is nothing to them. */
  readonly bellOf: (listId: string) => Bell;
  /** Rings for the runs to all lists: what concerns the whole account. */
  readonly ringAll: () => void;
}

export function createWorkingRuns(clock: Clock): WorkingRuns {
  const runs = new Map<string, WorkingRun>();
  const exports = new Set<string>();
  const lists = new Map<string, Set<string>>();
  const bells = new Map<string, Bell>();

  return {
    add: (context, done) => {
      const { id, exportId, listId } = context.run;
      runs.set(id, { context, done });
      exports.add(exportId);
      lists.set(listId, (lists.get(listId) ?? new Set()).add(id));
    },
    remove: ({ id, exportId, listId }) => {
      runs.delete(id);
      exports.delete(exportId);
      lists.get(listId)?.delete(id);
    },
    get: (runId) => runs.get(runId)?.context,
    all: () => [...runs.values()],
    size: () => runs.size,
    preparing: () => [...runs.values()].flatMap(({ context: { run } }) => (isPrepared(run) ? [] : run.id)),
    mayStart: (run) => !exports.has(run.exportId),
    sharesList: (run) => {
      const others = lists.get(run.listId);
      return others !== undefined && others.size > (others.has(run.id) ? 1 : 0);
    },
    bellOf: (listId) => {
      const bell = bells.get(listId) ?? createBell(clock);
      bells.set(listId, bell);
      return bell;
    },
    ringAll: () => {
      for (const bell of bells.values()) bell.ring();
    },
  };
}
