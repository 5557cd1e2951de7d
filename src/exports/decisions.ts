import type { Transaction } from '../database.js';
import { Batch, BatchState } from '../entities/batch.js';
import type { ExportRun } from '../entities/export-run.js';
import { gather } from '../gather.js';
import { writeBatches } from './batch-rows.js';
import { confirmEntries } from './decide-entries.js';
import type { AddressHolds } from './address-holds.js';
import type { EngineMetrics } from './engine-metrics.js';
import { transactAs, type Tenant } from './fence.js';
import type { RemovalWindow } from './ledger.js';
import type { ProgressHub } from './progress-hub.js';
import type { RemovalServices } from './removals.js';
import { addUp, count, type Counter } from './run-states.js';

/** What a decision adds to the counters of the run. */
export type Added = Partial<Record<Counter, number>>;

/** What became of a batch, and of its people. */
export interface Decision {
  readonly batch: Batch;
  readonly changes: Partial<Batch>;
  /** Writes down what became of the people, and answers what that adds to the run's counters. */
  readonly people?: (transaction: Transaction) => Promise<Added>;
  /** Whoever is left in the batch afterwards is confirmed; when that took effect, by the destination's clock. */
  readonly confirmed?: { readonly windows: readonly RemovalWindow[] };
}

/** Changes a batch, its people and its run's counters in one transaction, and then tells who watches the run. */
export type Decide = (decision: Decision) => Promise<void>;

/** Other runs wait for batches in these states (see address-holds.ts). */
const IN_THE_WAY: ReadonlySet<BatchState> = new Set([BatchState.SENDING, BatchState.ACCEPTED]);

/** Decisions that share a transaction at most: others wait for it as well. */
const MAX_GROUP = 16;

/**
 * Makes the one place where the batches of a run are decided. A run of a million decides eight thousand times: what comes
 * while a commit is under way is written together, with one statement for all people who arrived, one for all counters
 * and one for all batches.
 * @returns rejects with what kept the transaction from standing, for each decision in it; {RunMovedError} if somebody
 *   else took the run up.
 */
export function createDecide(
  services: Tenant & RemovalServices & { hub: ProgressHub; metrics: EngineMetrics },
  run: ExportRun,
  holds: Pick<AddressHolds, 'decided'>,
): Decide {
  return gather(async (decisions) => {
    await transactAs(services, run, async (transaction) => {
      const { outcomes, total } = await writeDecisions(services, transaction, run, decisions);
      transaction.afterCommit(() => {
        addUp(run, total);
        services.metrics.decided(total);
        decisions.forEach(({ batch, changes }, index) => {
          Object.assign(batch, outcomes[index]);
          if (changes.state !== undefined) services.metrics.batchesBecame(changes.state);
          if (!IN_THE_WAY.has(batch.state)) holds.decided(batch.id);
        });
        services.hub.changed(run.id);
      });
    });
    return decisions.map(() => undefined);
  }, MAX_GROUP);
}

async function writeDecisions(
  services: RemovalServices,
  transaction: Transaction,
  run: ExportRun,
  decisions: readonly Decision[],
): Promise<{ outcomes: Batch[]; total: Added }> {
  const { manager } = transaction;
  const added = new Map<Decision, Added>();
  for (const decision of decisions) added.set(decision, (await decision.people?.(transaction)) ?? {});
  const arrived = await confirmEntries(
    services,
    manager,
    run,
    decisions.flatMap(({ batch, confirmed }) => (confirmed === undefined ? [] : [{ batch, ...confirmed }])),
  );
  const total: Added = {};
  const outcomes = decisions.map((decision) => {
    const { batch, changes } = decision;
    const more = { ...added.get(decision), confirmed: arrived.get(batch.id) ?? 0 };
    for (const [counter, by] of Object.entries(more) as [Counter, number][]) {
      total[counter] = (total[counter] ?? 0) + by;
    }
    const { confirmed, rejected = 0, unconfirmed = 0 } = more;
    return Object.assign(new Batch(), batch, changes, {
      confirmed: batch.confirmed + confirmed,
      rejected: batch.rejected + rejected,
      unconfirmed: batch.unconfirmed + unconfirmed,
    });
  });
  await count(manager, run, total);
  await writeBatches(manager, outcomes);
  return { outcomes, total };
}
