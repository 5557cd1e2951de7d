import { BatchState, type Batch } from '../entities/batch.js';
import { RejectionReason } from '../entities/rejection.js';
import { insertBatches, newBatch } from './batch-rows.js';
import { doubtEntries, releaseEntries } from './decide-entries.js';
import { type RemovalWindow } from './ledger.js';
import { plannedIn, type PlannedEntry } from './planned.js';
import { rejectPeople, type Rejected } from './reject-people.js';
import { addRejections } from './rejections.js';
import type { RunContext } from './run-context.js';

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
 * UNCONFIRMED: the run has ended without knowing. The next run of the ledger asks once more, before it sends anything
 * (see past-batches.ts); the answer, or three questions without one, make it RESOLVED, and the figures of the old run stay as they were.
 *
 * SETTLED, RESOLVED and DROPPED are final. A batch and the counters of its run change in one transaction.
 */

/** How often a batch that the destination lost is sent again. */
export const MAX_LOSSES = 3;

/** What deciding a batch needs of a run. */
export type BatchContext = Pick<RunContext, 'services' | 'run' | 'clockThere' | 'decide'>;

/**
 * The destination queued the batch.
 * @param begunAt when the accepted attempt began, by the destination's clock; see attempt-clock.ts.
 */
export async function acceptBatch(
  context: BatchContext,
  batch: Batch,
  receipt: string,
  begunAt: Date | null,
): Promise<void> {
  const acceptedAt = new Date(context.services.clock.now());
  // A batch that was lost and is accepted once more holds people who count as accepted already.
  const accepted = batch.losses === 0 ? batch.contacts : 0;
  await context.decide({
    batch,
    // One that was lost may have taken effect before this attempt.
    changes: { state: BatchState.ACCEPTED, receipt, acceptedAt, begunAt: batch.begunAt ?? begunAt },
    people: () => Promise.resolve({ accepted }),
  });
}

/** The batch is to be sent again; `lost` if the destination had accepted it. */
export async function replanBatch(context: BatchContext, batch: Batch, { lost = false } = {}): Promise<void> {
  const losses = batch.losses + (lost ? 1 : 0);
  const mayHaveArrived = batch.mayHaveArrived || lost;
  await context.decide({ batch, changes: { state: BatchState.PLANNED, losses, mayHaveArrived } });
}

/** The destination is done: these contacts were refused, the others are confirmed. */
export async function settleBatch(
  context: BatchContext,
  batch: Batch,
  refused: readonly Rejected[],
): Promise<void> {
  await context.decide({
    batch,
    changes: { state: BatchState.SETTLED },
    people: async ({ manager }) => {
      if (refused.length === 0) return {};
      return rejectPeople(manager, context, refused, batch.mayHaveArrived ? 'EVERYBODY' : 'DELIVERED');
    },
    confirmed: { window: windowOf(context, batch) },
  });
}

/** Nothing was queued: these contacts are refused for good, the others of the batch go out again. */
export async function dropRefused(
  context: BatchContext,
  batch: Batch,
  refused: readonly Rejected[],
): Promise<void> {
  const inDoubt = batch.mayHaveArrived ? 'EVERYBODY' : 'NOBODY';
  await context.decide({
    batch,
    changes: without(batch, refused.length),
    people: ({ manager }) => rejectPeople(manager, context, refused, inDoubt),
  });
}

/**
 * Nothing is to be done about these leavers: they are wanted by another export by now and stay on the list, or another run
 * took them off.
 */
export async function releaseLeavers(
  context: BatchContext,
  batch: Batch,
  { wanted, off }: { readonly wanted: readonly PlannedEntry[]; readonly off: readonly PlannedEntry[] },
): Promise<void> {
  // Still SENDING: nobody knows how the request before this one ended.
  const mayHaveArrived = batch.mayHaveArrived || batch.state === BatchState.SENDING;
  const earlier = { mayHaveArrived, window: windowOf(context, batch) };
  await context.decide({
    batch,
    changes: { ...without(batch, wanted.length + off.length), mayHaveArrived },
    people: async ({ manager }) => {
      const release = (entries: readonly PlannedEntry[], isOff: boolean) => {
        const keys = entries.map(({ emailKey }) => emailKey);
        return releaseEntries(context.services, manager, context.run, keys, { ...earlier, isOff });
      };
      const released = (await release(wanted, false)) + (await release(off, true));
      return { leavers: -released, toSend: -released };
    },
  });
}

function without(batch: Batch, people: number): Partial<Batch> {
  const contacts = batch.contacts - people;
  return { state: contacts === 0 ? BatchState.SETTLED : BatchState.PLANNED, contacts };
}

/** Nobody knows, and nobody will learn in this run, what became of the batch. */
export async function leaveUnconfirmed(context: BatchContext, batch: Batch, detail: string): Promise<void> {
  const { run } = context;
  await context.decide({
    batch,
    changes: { state: BatchState.UNCONFIRMED },
    people: async ({ manager }) => {
      const entries = await plannedIn(manager, run, batch);
      const reason = RejectionReason.UNCONFIRMED;
      await addRejections(
        manager,
        run.id,
        entries.map(({ profileId, wanted }) => ({ profileId, email: wanted[0], reason, detail })),
      );
      const window = windowOf(context, batch);
      return { unconfirmed: await doubtEntries(context.services, manager, run, batch, window) };
    },
  });
}

/** Puts two halves in the place of a batch that was refused without naming anybody. @returns the halves, PLANNED. */
export async function splitBatch(
  context: BatchContext,
  batch: Batch,
  entries: readonly PlannedEntry[],
): Promise<Batch[]> {
  const middle = Math.ceil(entries.length / 2);
  const halves = [entries.slice(0, middle), entries.slice(middle)].map((half) =>
    newBatch(context.run, half, BatchState.PLANNED, batch.intentAt, batch),
  );
  const written: Batch[] = [];
  await context.decide({
    batch,
    changes: { state: BatchState.DROPPED },
    people: async ({ manager }) => {
      written.push(...(await insertBatches(manager, halves)));
      return {};
    },
  });
  return written;
}

/**
 * When what a batch did took effect, by the destination's clock: after its accepted attempt began, and by now. An attempt
 * whose acceptance is not known has no window.
 */
function windowOf({ clockThere }: BatchContext, { begunAt }: Batch): RemovalWindow | undefined {
  const to = clockThere();
  return begunAt === null || to === undefined ? undefined : { from: begunAt.getTime(), to };
}
