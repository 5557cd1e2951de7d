import type { EntityManager } from 'typeorm';
import type { ExportRun } from '../entities/export-run.js';
import { holderOf, type PlannedEntry } from './planned.js';

/**
 * Which contacts wait for a batch of another run to the same list that has an address in common with them (see `holderOf`).
 *
 * The database knows; asking it costs a look-up for each run and each address. With hundreds of runs of the same people
 * every decided batch would let all of them ask. So what was found is remembered: whoever waits behind a batch does not
 * ask again before that one is decided, and whoever then goes first is compared with the others here. All runs of an
 * account are worked in one process, so it hears of every decision.
 */
export interface AddressHolds {
  /** Whether the contacts must wait. @param entries the same array whenever the same contacts are asked for. */
  readonly isHeld: (
    manager: EntityManager,
    run: ExportRun,
    entries: readonly Pick<PlannedEntry, 'emailKey'>[],
  ) => Promise<boolean>;
  /** A batch with these contacts is about to be sent. */
  readonly begun: (run: ExportRun, batchId: number, entries: readonly PlannedEntry[]) => void;
  /** A batch is not under way any more. */
  readonly decided: (batchId: number) => void;
  /** A run has ended: nothing of it is under way. */
  readonly ended: (runId: string) => void;
}

/** Batches whose addresses are remembered at most; the database is asked about the others. */
const MAX_REMEMBERED = 32;

interface Begun {
  readonly run: ExportRun;
  readonly keys: ReadonlySet<string>;
}

export function createAddressHolds(): AddressHolds {
  /** Batches under way that somebody waits behind, and the run of each. */
  const holders = new Map<number, string>();
  const behind = new WeakMap<readonly object[], number>();
  /** Batches that were begun while others waited at their list. */
  const begun = new Map<number, Begun>();
  /** Lists at which somebody was found waiting: where nobody ever is, nothing is remembered. */
  const contended = new Set<string>();
  /** Questions to the database under way, and batches that were decided since the first of them was asked. */
  let asking = 0;
  const decidedMeanwhile = new Set<number>();

  const ask = async (
    manager: EntityManager,
    run: ExportRun,
    entries: readonly Pick<PlannedEntry, 'emailKey'>[],
  ) => {
    asking += 1;
    try {
      const holder = await holderOf(manager, run, entries);
      return holder && { ...holder, isDecided: decidedMeanwhile.has(holder.batchId) };
    } finally {
      asking -= 1;
      if (asking === 0) decidedMeanwhile.clear();
    }
  };

  const wait = (entries: readonly object[], batchId: number, runId: string) => {
    behind.set(entries, batchId);
    holders.set(batchId, runId);
    return true;
  };

  const forget = (batchId: number) => {
    holders.delete(batchId);
    begun.delete(batchId);
  };

  return {
    isHeld: async (manager, run, entries) => {
      const before = behind.get(entries);
      if (before !== undefined && holders.has(before)) return true;
      for (const [batchId, { run: other, keys }] of begun) {
        const isOther = other.id !== run.id && other.listId === run.listId;
        if (isOther && entries.some(({ emailKey }) => keys.has(emailKey)))
          return wait(entries, batchId, other.id);
      }
      const holder = await ask(manager, run, entries);
      if (holder === undefined) return false;
      contended.add(run.listId);
      // Nobody tells of that decision again: who waited for it would wait for the end of the other run.
      return holder.isDecided || wait(entries, holder.batchId, holder.runId);
    },
    begun: (run, batchId, entries) => {
      if (!contended.has(run.listId)) return;
      begun.set(batchId, { run, keys: new Set(entries.map(({ emailKey }) => emailKey)) });
      const [oldest] = begun.keys();
      if (begun.size > MAX_REMEMBERED && oldest !== undefined) begun.delete(oldest);
    },
    decided: (batchId) => {
      forget(batchId);
      if (asking > 0) decidedMeanwhile.add(batchId);
    },
    ended: (runId) => {
      for (const [batchId, owner] of holders) if (owner === runId) forget(batchId);
      for (const [batchId, { run }] of begun) if (run.id === runId) forget(batchId);
    },
  };
}
