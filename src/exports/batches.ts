import { Batch, BatchState } from '../entities/batch.js';
import type { ExportRun } from '../entities/export-run.js';
import { RejectionReason } from '../entities/rejection.js';
import type { Transaction } from '../database.js';
import { decideEntries, plannedIn, type PlannedEntry } from './ledger.js';
import { addRejections } from './rejections.js';
import type { EngineServices } from './run-context.js';
import { addUp, count, type Counter } from './run-states.js';

/*
 * A batch is a range of the ledger that travels in one request.
 *
 * SENDING: the intent is committed; the request is about to begin, is under way, or was when the process died. Nobody
 * knows what the destination made of it. From here: the destination queued it and the receipt is kept (ACCEPTED); it
 * certainly or possibly did not, and the batch goes out once more (PLANNED); it refused all of it because of some
 * contacts it named, who are rejected, while the others go out again (PLANNED, or SETTLED if nobody is left); it
 * refused without naming anybody, and the halves go out in its place (DROPPED).
 *
 * PLANNED: to be sent (again); becomes SENDING with a new intent. A run that ends before that leaves it DROPPED, its
 * people counted as not sent.
 *
 * ACCEPTED: the destination works on it. From here: it says what became of each contact (SETTLED); it lost the batch,
 * which goes out again (PLANNED), three times at most; the outcome cannot be learned any more (UNCONFIRMED; the receipt
 * stays, so that it can still be asked for).
 *
 * SETTLED, UNCONFIRMED and DROPPED are final. A batch and the counters of its run change in one transaction.
 */

/** How often a batch that the destination lost is sent again. */
export const MAX_LOSSES = 3;

type Added = Partial<Record<Counter, number>>;

/** A batch's contacts, some of whom did not arrive. */
export interface Refusal {
  readonly entry: PlannedEntry;
  readonly detail: string;
}

/** Changes a batch, its people and its run's counters in one transaction, and then tells who watches the run. */
async function decide(
  services: EngineServices,
  run: ExportRun,
  batch: Batch,
  changes: Partial<Batch>,
  people?: (transaction: Transaction) => Promise<Added>,
): Promise<void> {
  await services.database.transact(async (transaction) => {
    const added = (await people?.(transaction)) ?? {};
    await count(transaction.manager, run, added);
    const outcome = {
      ...changes,
      confirmed: batch.confirmed + (added.confirmed ?? 0),
      rejected: batch.rejected + (added.rejected ?? 0),
      unconfirmed: batch.unconfirmed + (added.unconfirmed ?? 0),
    };
    await transaction.manager.update(Batch, { id: batch.id }, outcome);
    transaction.afterCommit(() => {
      addUp(run, added);
      Object.assign(batch, outcome);
      services.hub.changed(run.id);
    });
  });
}

/** The destination queued the batch. */
export async function acceptBatch(
  services: EngineServices,
  run: ExportRun,
  batch: Batch,
  receipt: string,
): Promise<void> {
  const acceptedAt = new Date(services.clock.now());
  // A batch that was lost and is accepted once more holds people who count as accepted already.
  const accepted = batch.losses === 0 ? batch.contacts : 0;
  await decide(services, run, batch, { state: BatchState.ACCEPTED, receipt, acceptedAt }, () =>
    Promise.resolve({ accepted }),
  );
}

/** The batch is to be sent again; `lost` if the destination had accepted it. */
export async function replanBatch(
  services: EngineServices,
  run: ExportRun,
  batch: Batch,
  { lost = false } = {},
): Promise<void> {
  const losses = batch.losses + (lost ? 1 : 0);
  const mayHaveArrived = batch.mayHaveArrived || lost;
  await decide(services, run, batch, { state: BatchState.PLANNED, losses, mayHaveArrived });
}

/** The destination is done: these contacts were refused, the others are confirmed. */
export async function settleBatch(
  services: EngineServices,
  run: ExportRun,
  batch: Batch,
  refused: readonly Refusal[],
): Promise<void> {
  await decide(services, run, batch, { state: BatchState.SETTLED }, async (transaction) => {
    await rejectPeople(transaction, run, refused);
    const confirmed = await decideEntries(transaction.manager, run, batch, { delivered: true });
    return { confirmed, rejected: refused.length };
  });
}

/** Nothing was queued: these contacts are refused for good, the others of the batch go out again. */
export async function dropRefused(
  services: EngineServices,
  run: ExportRun,
  batch: Batch,
  refused: readonly Refusal[],
): Promise<void> {
  const left = batch.contacts - refused.length;
  const state = left === 0 ? BatchState.SETTLED : BatchState.PLANNED;
  await decide(services, run, batch, { state, contacts: left }, async (transaction) => {
    await rejectPeople(transaction, run, refused);
    return { rejected: refused.length };
  });
}

/** Nobody knows, and nobody will learn in this run, what became of the batch. */
export async function leaveUnconfirmed(
  services: EngineServices,
  run: ExportRun,
  batch: Batch,
  detail: string,
): Promise<void> {
  await decide(services, run, batch, { state: BatchState.UNCONFIRMED }, async ({ manager }) => {
    const entries = await plannedIn(manager, run, batch);
    const reason = RejectionReason.UNCONFIRMED;
    await addRejections(
      manager,
      run.id,
      entries.map(({ profileId, wanted }) => ({ profileId, email: wanted[0], reason, detail })),
    );
    return { unconfirmed: await decideEntries(manager, run, batch, { delivered: false }) };
  });
}

/** Puts two halves in the place of a batch that was refused without naming anybody. @returns the halves, PLANNED. */
export async function splitBatch(
  services: EngineServices,
  run: ExportRun,
  batch: Batch,
  entries: readonly PlannedEntry[],
): Promise<Batch[]> {
  const middle = Math.ceil(entries.length / 2);
  const halves = [entries.slice(0, middle), entries.slice(middle)].map((half) =>
    newBatch(run, half, BatchState.PLANNED, batch.intentAt, batch),
  );
  await decide(services, run, batch, { state: BatchState.DROPPED }, async ({ manager }) => {
    await manager.save(Batch, halves);
    return {};
  });
  return halves;
}

/**
 * Gives contacts that must wait for another run's batch a row of their own: whoever takes the run up goes on in the
 * ledger after its last row, and would pass over what has none.
 */
export async function planBatch(
  { manager }: Transaction,
  run: ExportRun,
  entries: readonly PlannedEntry[],
  at: Date,
): Promise<Batch> {
  await count(manager, run, {});
  return manager.save(Batch, newBatch(run, entries, BatchState.PLANNED, at));
}

/** A batch row for these entries, not yet written. */
export function newBatch(
  run: ExportRun,
  entries: readonly PlannedEntry[],
  state: BatchState,
  intentAt: Date,
  { losses, mayHaveArrived }: Pick<Batch, 'losses' | 'mayHaveArrived'> = { losses: 0, mayHaveArrived: false },
): Batch {
  const [first, last] = [entries[0], entries.at(-1)];
  if (first === undefined || last === undefined) throw new Error('A batch needs at least one contact');
  return Object.assign(new Batch(), {
    runId: run.id,
    fromKey: first.emailKey,
    toKey: last.emailKey,
    contacts: entries.length,
    state,
    confirmed: 0,
    rejected: 0,
    unconfirmed: 0,
    mayHaveArrived,
    losses,
    intentAt,
    receipt: null,
    acceptedAt: null,
  });
}

async function rejectPeople(
  { manager }: Transaction,
  run: ExportRun,
  refused: readonly Refusal[],
): Promise<void> {
  if (refused.length === 0) return;
  await decideEntries(
    manager,
    run,
    refused.map(({ entry }) => entry.emailKey),
    { delivered: false },
  );
  await addRejections(
    manager,
    run.id,
    refused.map(({ entry, detail }) => ({
      profileId: entry.profileId,
      email: entry.wanted[0],
      reason: RejectionReason.REFUSED_BY_DESTINATION,
      detail,
    })),
  );
}
