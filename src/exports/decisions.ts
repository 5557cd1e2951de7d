import type { Database, Transaction } from '../database.js';
import { Batch } from '../entities/batch.js';
import type { ExportRun } from '../entities/export-run.js';
import { writeBatches } from './batch-rows.js';
import type { ProgressHub } from './progress-hub.js';
import { addUp, count, type Counter } from './run-states.js';

/** What a decision adds to the counters of the run. */
export type Added = Partial<Record<Counter, number>>;

/** What became of a batch, and of its people. */
export interface Decision {
  readonly batch: Batch;
  readonly changes: Partial<Batch>;
  /** Writes down what became of the people, and answers what that adds to the run's counters. */
  readonly people?: (transaction: Transaction) => Promise<Added>;
}

/** Changes a batch, its people and its run's counters in one transaction, and then tells who watches the run. */
export type Decide = (decision: Decision) => Promise<void>;

/** Decisions that share a transaction at most: others wait for it as well. */
const MAX_GROUP = 16;

/**
 * Makes the one place where the batches of a run are decided. A run of a million decides eight thousand times: what comes
 * while a commit is under way is written together, with one statement for all counters and one for all batches.
 * @returns rejects with what kept the transaction from standing, for each decision in it; {RunMovedError} if somebody
 *   else took the run up.
 */
export function createDecide(services: { database: Database; hub: ProgressHub }, run: ExportRun): Decide {
  const waiting: { decision: Decision; decided: PromiseWithResolvers<undefined> }[] = [];
  let isWriting = false;

  const write = async (decisions: readonly Decision[]) => {
    await services.database.transact(async (transaction) => {
      const total: Added = {};
      const outcomes: Batch[] = [];
      for (const { batch, changes, people } of decisions) {
        const added = (await people?.(transaction)) ?? {};
        for (const [counter, by] of Object.entries(added) as [Counter, number][]) {
          total[counter] = (total[counter] ?? 0) + by;
        }
        outcomes.push(
          Object.assign(new Batch(), batch, changes, {
            confirmed: batch.confirmed + (added.confirmed ?? 0),
            rejected: batch.rejected + (added.rejected ?? 0),
            unconfirmed: batch.unconfirmed + (added.unconfirmed ?? 0),
          }),
        );
      }
      await count(transaction.manager, run, total);
      await writeBatches(transaction.manager, outcomes);
      transaction.afterCommit(() => {
        addUp(run, total);
        decisions.forEach(({ batch }, index) => Object.assign(batch, outcomes[index]));
        services.hub.changed(run.id);
      });
    });
  };

  const drain = async () => {
    isWriting = true;
    while (waiting.length > 0) {
      const group = waiting.splice(0, MAX_GROUP);
      try {
        await write(group.map(({ decision }) => decision));
        for (const { decided } of group) decided.resolve(undefined);
      } catch (error: unknown) {
        for (const { decided } of group) decided.reject(error);
      }
    }
    isWriting = false;
  };

  return async (decision) => {
    const decided = Promise.withResolvers<undefined>();
    waiting.push({ decision, decided });
    if (!isWriting) void drain();
    await decided.promise;
  };
}
