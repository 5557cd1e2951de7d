import { compareUtf8 } from '../bulk-sql.js';
import type { Batch } from '../entities/batch.js';
import type { PlannedEntry } from './planned.js';

type Keyed = Pick<PlannedEntry, 'emailKey'>;

/** Whom the batches have that an earlier worker of the run began. */
export interface TakenRanges {
  readonly isFree: (entry: Keyed) => boolean;
  /** How many of these free entries, from the first on, lie before the next range: a batch must not reach across one. */
  readonly stretch: (entries: readonly Keyed[]) => number;
}

/**
 * Whoever takes a run up goes on with whom no batch has. That is not always everybody behind the last batch: batches are
 * written together, and a process may have died when later ones had rows already and earlier ones had not.
 * @param batches undecided ones, whose ranges have nothing in common.
 */
export function takenRanges(batches: readonly Batch[]): TakenRanges {
  const ranges = [...batches].sort((a, b) => compareUtf8(a.fromKey, b.fromKey));

  /** The place of the first range that begins behind the key. */
  const firstBehind = (key: string): number => {
    let [low, high] = [0, ranges.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareUtf8(ranges[middle]?.fromKey ?? '', key) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  };

  return {
    isFree: ({ emailKey }) => {
      const range = ranges[firstBehind(emailKey) - 1];
      return range === undefined || compareUtf8(range.toKey, emailKey) < 0;
    },
    stretch: (entries) => {
      const next = ranges[firstBehind(entries[0]?.emailKey ?? '')];
      if (next === undefined) return entries.length;
      const behind = entries.findIndex(({ emailKey }) => compareUtf8(emailKey, next.fromKey) > 0);
      return behind === -1 ? entries.length : behind;
    },
  };
}
