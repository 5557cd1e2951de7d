import { BatchState, type Batch } from '../entities/batch.js';
import { RejectionReason } from '../entities/rejection.js';
import type { AttemptTimes } from './attempt-clock.js';
import { isNewcomer, type Newcomers } from './newcomers.js';
import { insertBatches, newBatch } from './batch-rows.js';
import { doubtEntries, releaseEntries } from './decide-entries.js';
import { plannedIn, type PlannedEntry } from './planned.js';
import { rejectPeople, type Rejected } from './reject-people.js';
import { addRejections } from './rejections.js';
import { windowsOf } from './removal-windows.js';
import type { RunContext } from './run-context.js';
import { MAX_UNPROVEN_TRIES, unprovenTriesOf } from './unproven-tries.js';

/*
 * A batch is a range of the ledger that travels in one request.
 *
 * SENDING: the intent is committed; the request is about to begin, is under way, ended without proof, or was under way when
 * the process died. Nobody knows what the destination made of it. From here: the destination queued it and the receipt is
 * kept (ACCEPTED); it certainly did not take it, and the batch goes out once more (PLANNED); nobody knows, and the batch
 * goes out once more with a new intent (SENDING again); the same, but it has used up its tries (UNCONFIRMED, see
 * unproven-tries.ts); it refused all of it because of some contacts it named, who are rejected, while the others go out
 * again (PLANNED, or SETTLED if nobody is left); it refused without naming anybody, and the halves go out in its place
 * (DROPPED), with the tries that the batch has used up.
 *
 * PLANNED: to be sent (again); becomes SENDING with a new intent. A run that ends before that leaves it DROPPED, its
 * people counted as not sent; or UNCONFIRMED, if an earlier try may have brought it there.
 *
 * ACCEPTED: the destination works on it. From here: it says what became of each contact (SETTLED); it lost the batch,
 * which goes out again (PLANNED) or has used up its tries (UNCONFIRMED); the outcome cannot be learned any more
 * (UNCONFIRMED).
 *
 * UNCONFIRMED: it may have arrived, and nobody will know in this run. With a receipt the next run of the ledger asks once
 * more, before it sends anything (see past-batches.ts); the outcome, three questions without an answer, or five minutes of
 * answers that the destination still works on it make it RESOLVED, and the figures of the old run stay as they were. Without one it stays UNCONFIRMED, and the next run sends its people again.
 *
 * SETTLED, RESOLVED and DROPPED are final. A batch and the counters of its run change in one transaction.
 */

/** What deciding a batch needs of a run. */
export type BatchContext = Pick<RunContext, 'services' | 'run' | 'decide'>;

/**
 * The destination queued the batch.
 * @param times of the accepted attempt by the destination's clock, if it takes somebody off the list.
 */
export async function acceptBatch(
  context: BatchContext,
  batch: Batch,
  receipt: string,
  times: AttemptTimes | undefined,
): Promise<void> {
  const acceptedAt = new Date(context.services.clock.now());
  // A batch that was lost and is accepted once more holds people who count as accepted already.
  const accepted = batch.losses === 0 ? batch.contacts : 0;
  await context.decide({
    batch,
    changes: { state: BatchState.ACCEPTED, receipt, acceptedAt, begunAt: null, seenAt: null, ...times },
    people: () => Promise.resolve({ accepted }),
  });
}

/** The request surely was not taken: the batch is to be sent again, and no try was used up. */
export async function replanBatch(context: BatchContext, batch: Batch): Promise<void> {
  await context.decide({ batch, changes: { state: BatchState.PLANNED } });
}

/** The destination had accepted the batch and lost it: a try was used up. @returns whether it is to be sent again. */
export async function loseBatch(context: BatchContext, batch: Batch, detail: string): Promise<boolean> {
  const unprovenTries = batch.unprovenTries + 1;
  const lost = { losses: batch.losses + 1, unprovenTries, mayHaveArrived: true };
  if (unprovenTries >= MAX_UNPROVEN_TRIES) {
    await leaveUnconfirmed(context, batch, detail, lost);
    return false;
  }
  await context.decide({ batch, changes: { state: BatchState.PLANNED, ...lost } });
  return true;
}

/**
 * Nothing proves that the last request was not taken, and no try is left.
 * @param last what happened to that request, for the person who reads the rejections; undefined: the process died.
 */
export async function exhaustBatch(context: BatchContext, batch: Batch, last?: string): Promise<void> {
  await leaveUnconfirmed(context, batch, last === undefined ? NO_TRIES_LEFT : `${NO_TRIES_LEFT} ${last}`);
}

/**
 * The destination is done: these contacts were refused, the others are confirmed.
 * @param newcomers what that says of the newcomers of the batch, if anybody was refused.
 */
export async function settleBatch(
  context: BatchContext,
  batch: Batch,
  refused: readonly Rejected[],
  newcomers: Partial<Newcomers> = {},
): Promise<void> {
  await context.decide({
    batch,
    changes: { state: BatchState.SETTLED, ...newcomers },
    people: async ({ manager }) => {
      if (refused.length === 0) return {};
      const inDoubt = batch.mayHaveArrived ? 'EVERYBODY' : 'DELIVERED';
      const { newcomersRefused = 0 } = newcomers;
      return { ...(await rejectPeople(manager, context, refused, inDoubt)), newcomersRefused };
    },
    confirmed: { windows: windowsOf(batch) },
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
    changes: {
      ...without(batch, refused.length),
      newcomers: batch.newcomers - refused.filter(({ entry }) => isNewcomer(entry)).length,
    },
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
  const unprovenTries = unprovenTriesOf(batch);
  const mayHaveArrived = batch.mayHaveArrived || unprovenTries > 0;
  const earlier = { mayHaveArrived, windows: windowsOf(batch) };
  await context.decide({
    batch,
    changes: { ...without(batch, wanted.length + off.length), unprovenTries, mayHaveArrived },
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

/**
 * Nobody knows, and nobody will learn in this run, what became of the batch.
 * @param why for the person who reads the rejections.
 */
export async function leaveUnconfirmed(
  context: BatchContext,
  batch: Batch,
  why: string,
  also: Partial<Batch> = {},
): Promise<void> {
  const { run } = context;
  // What was accepted last is asked about before anything is sent again; the rest may be there twice by then.
  const detail = batch.state === BatchState.ACCEPTED ? why : `${why} ${SENT_AGAIN}`;
  await context.decide({
    batch,
    changes: { state: BatchState.UNCONFIRMED, unprovenTries: unprovenTriesOf(batch), ...also },
    people: async ({ manager }) => {
      const entries = await plannedIn(manager, run, batch);
      const reason = RejectionReason.UNCONFIRMED;
      await addRejections(
        manager,
        run.id,
        entries.map(({ profileId, wanted }) => ({ profileId, email: wanted[0], reason, detail })),
      );
      const windows = windowsOf(batch);
      return { unconfirmed: await doubtEntries(context.services, manager, run, batch, windows) };
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

const NO_TRIES_LEFT = `The batch was sent ${MAX_UNPROVEN_TRIES} times, and nothing proves that the destination did not take it.`;
const SENT_AGAIN = 'The next run sends these people again; automations may start twice.';
