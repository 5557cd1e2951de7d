import type { Batch } from '../entities/batch.js';
import type { PlannedEntry } from './planned.js';

/*
 * Whether a run met an account that is full. A full account imports whom it has and refuses whom it has not, after it
 * accepted the batch and without a reason, just as it refuses single people for good. These refusals say nothing of the
 * people, so they do not stand.
 *
 * Evidence are newcomers alone: people who were never delivered and, before this run, never refused. A destination that
 * refuses the same forty people after thirty days, or in a run that is forced, is not full.
 */

/** Fewer newcomers than this prove nothing by their share. */
const MIN_NEWCOMERS = 20;
/** So many newcomers in a row, the last that were sent, are refused where the account became full during the run. */
const REFUSED_IN_A_ROW = 100;

/** What became of the newcomers of one batch. */
export type Newcomers = Pick<Batch, 'newcomers' | 'newcomersRefused' | 'newcomersRefusedLast'>;

export function isNewcomer({ isNew, wasRefused }: Pick<PlannedEntry, 'isNew' | 'wasRefused'>): boolean {
  return isNew && !wasRefused;
}

/**
 * What the outcome of a batch says of its newcomers.
 * @param entries everybody of the batch, in the order of sending.
 */
export function outcomeOfNewcomers(
  entries: readonly PlannedEntry[],
  isRefused: (entry: PlannedEntry) => boolean,
): Newcomers {
  const newcomers = entries.filter(isNewcomer);
  return {
    newcomers: newcomers.length,
    newcomersRefused: newcomers.filter(isRefused).length,
    newcomersRefusedLast: newcomers.length - 1 - newcomers.findLastIndex((entry) => !isRefused(entry)),
  };
}

/** Judges by the outcomes alone. @param batches in the order of sending. */
export function looksFull(batches: readonly Newcomers[]): boolean {
  const { newcomers, newcomersRefused } = sumOf(batches);
  if (newcomers >= MIN_NEWCOMERS && newcomersRefused * 2 > newcomers) return true;
  let inARow = 0;
  for (const batch of batches.toReversed()) {
    inARow += batch.newcomersRefusedLast;
    if (batch.newcomersRefusedLast < batch.newcomers) break;
  }
  return inARow >= REFUSED_IN_A_ROW;
}

/** All batches together. */
export function sumOf(batches: readonly Newcomers[]): { newcomers: number; newcomersRefused: number } {
  return batches.reduce(
    (sum, batch) => ({
      newcomers: sum.newcomers + batch.newcomers,
      newcomersRefused: sum.newcomersRefused + batch.newcomersRefused,
    }),
    { newcomers: 0, newcomersRefused: 0 },
  );
}
