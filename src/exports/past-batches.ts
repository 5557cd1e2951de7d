import type { EntityManager } from 'typeorm';
import { Batch, BatchState } from '../entities/batch.js';
import type { ExportRun } from '../entities/export-run.js';
import { RejectionReason } from '../entities/rejection.js';
import { RetryLaterError, type Outcome } from '../destinations/destination.js';
import { callOnce, waitWhileAway } from './call-destination.js';
import { transactAs } from './fence.js';
import { resolveEntries } from './late-outcomes.js';
import { ledgerOf } from './ledger.js';
import { lateWindow } from './removal-windows.js';
import type { RunContext } from './run-context.js';
import { count } from './run-states.js';

/** How often a batch is asked about before its outcome counts as unknown for good. */
const MAX_TRIES = 3;

/** Questions under way at once: one that gets no answer keeps the others waiting no longer than that. */
const AT_ONCE = 16;

/**
 * Asks about what earlier runs of the ledger sent without learning how it ended, before anything is sent again: whoever
 * arrived then is not sent twice. Each batch is decided by one answer; who is still unknown afterwards is sent again if
 * wanted.
 *
 * A batch whose question the destination does not answer is asked about three times, `unansweredAfterMs` from the first
 * to the last, all such batches together. Then its outcome counts as unknown. A round in which the destination is away
 * altogether does not count: it is waited for.
 * @throws {SendingEndedError} when the run may not go on: what was not answered is asked about by the next run.
 */
export async function askAboutPastBatches(context: RunContext): Promise<void> {
  const { services, limits, run, sending } = context;
  let left = await unconfirmedBatches(services.database.reader, run);
  for (let tries = 0; left.length > 0;) {
    left = await askAbout(context, left);
    if (left.length === 0 || (await waitWhileAway(context))) continue;
    tries += 1;
    if (tries === MAX_TRIES) {
      for (const batch of left) await giveUp(context, batch);
      return;
    }
    await services.clock.sleep(limits.unansweredAfterMs / (MAX_TRIES - 1), sending.signal);
  }
}

/** Asks once about each. @returns those without an answer. */
async function askAbout(context: RunContext, batches: readonly Batch[]): Promise<Batch[]> {
  const unanswered: Batch[] = [];
  const next = batches.values();
  const ask = async () => {
    for (const batch of next) if (!(await askOnce(context, batch))) unanswered.push(batch);
  };
  const asking = await Promise.allSettled(Array.from({ length: AT_ONCE }, ask));
  for (const asked of asking) if (asked.status === 'rejected') throw asked.reason;
  return unanswered;
}

/** @returns whether the destination answered. */
async function askOnce(context: RunContext, batch: Batch): Promise<boolean> {
  const { destination } = context;
  try {
    const outcome = await callOnce(context, (credentials) =>
      destination.outcome(credentials, batch.receipt ?? ''),
    );
    await resolve(context, batch, outcome);
    return true;
  } catch (error: unknown) {
    if (error instanceof RetryLaterError) return false;
    throw error;
  }
}

/** Nobody will say any more what became of the batch: its people stay in doubt. */
async function giveUp(context: RunContext, batch: Batch): Promise<void> {
  const why = context.trouble?.message;
  context.services.logger.warn({ batch: batch.id, why }, 'outcome of an earlier batch given up');
  await resolve(context, batch, undefined);
}

/**
 * @param outcome people are learned about if it is COMPLETED; otherwise, and without one, they stay in doubt, and are sent
 *   again if wanted.
 */
async function resolve(context: RunContext, batch: Batch, outcome: Outcome | undefined): Promise<void> {
  const { run, services } = context;
  await transactAs(services, run, async ({ manager, afterCommit }) => {
    await count(manager, run, {});
    if (outcome?.state === 'COMPLETED') await learn(manager, context, batch, outcome);
    await manager.update(Batch, { id: batch.id }, { state: BatchState.RESOLVED });
    afterCommit(() => services.metrics.batchesBecame(BatchState.RESOLVED));
  });
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
  { failures, possibleReasons, at }: Outcome & { state: 'COMPLETED' },
): Promise<void> {
  const { id } = await ledgerOf(manager, run);
  const { account, listId } = run;
  const window = lateWindow(batch, at);
  await resolveEntries(services, manager, { account, listId, ledgerId: id }, batch, {
    failures,
    refusal: {
      reason: RejectionReason.REFUSED_BY_DESTINATION,
      detail: possibleReasons,
      at: services.clock.now(),
    },
    windows: window === undefined ? [] : [window],
  });
}
