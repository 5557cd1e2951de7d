import type { EntityManager } from 'typeorm';
import { Batch, BatchState } from '../entities/batch.js';
import type { ExportRun } from '../entities/export-run.js';
import { RejectionReason } from '../entities/rejection.js';
import type { Outcome } from '../destinations/destination.js';
import { callDestination } from './call-destination.js';
import { resolveEntries } from './decide-entries.js';
import { transactAs } from './fence.js';
import { ledgerOf } from './ledger.js';
import type { RunContext } from './run-context.js';
import { count } from './run-states.js';

/**
 * Asks about what earlier runs of the ledger sent without learning how it ended, before anything is sent again: whoever
 * arrived then is not sent twice. It is asked once; who is still unknown afterwards is sent again if wanted.
 */
export async function askAboutPastBatches(context: RunContext): Promise<void> {
  const { run, services, destination } = context;
  for (const batch of await unconfirmedBatches(services.database.reader, run)) {
    const outcome = await callDestination(context, (credentials) =>
      destination.outcome(credentials, batch.receipt ?? ''),
    );
    await transactAs(services, run, async ({ manager, afterCommit }) => {
      await count(manager, run, {});
      if (outcome.state === 'COMPLETED') await learn(manager, context, batch, outcome);
      await manager.update(Batch, { id: batch.id }, { state: BatchState.RESOLVED });
      afterCommit(() => services.metrics.batchesBecame(BatchState.RESOLVED));
    });
  }
}

/** Batches of earlier runs of an export to a list that were accepted and may still tell their outcome. */
export async function unconfirmedBatches(
  reader: EntityManager,
  { exportId, account, listId }: Pick<ExportRun, 'exportId' | 'account' | 'listId'>,
): Promise<Batch[]> {
  return reader
    .createQueryBuilder(Batch, 'batch')
    .innerJoin('export_runs', 'run', 'run.id = batch.runId')
    .where('run.exportId = :exportId AND run.account = :account AND run.listId = :listId', {
      exportId,
      account,
      listId,
    })
    .andWhere('batch.state = :state AND batch.receipt IS NOT NULL', { state: BatchState.UNCONFIRMED })
    .orderBy('batch.id')
    .getMany();
}

/** Whoever did not fail has arrived; whoever failed is refused, as in a run. */
async function learn(
  manager: EntityManager,
  { run, services }: RunContext,
  batch: Batch,
  { failures, possibleReasons }: Outcome & { state: 'COMPLETED' },
): Promise<void> {
  const { id } = await ledgerOf(manager, run);
  await resolveEntries(manager, id, batch, failures, {
    reason: RejectionReason.REFUSED_BY_DESTINATION,
    detail: possibleReasons,
    at: services.clock.now(),
  });
}
