import { isDatabaseAway } from '../database-errors.js';
import { RetryLaterError } from '../destinations/destination.js';
import { ExportRunPhase } from '../entities/export-run.js';
import type { Batch } from '../entities/batch.js';
import { lookAtClock } from './attempt-clock.js';
import { callOnce } from './call-destination.js';
import { checkPeople, type LookUpWait } from './check-people.js';
import { followUp } from './confirm.js';
import { transactAs } from './fence.js';
import { openOutbox } from './outbox.js';
import {
  BROKEN,
  endSending,
  SendingEndedError,
  shutDown,
  ShutdownError,
  type RunContext,
} from './run-context.js';
import { RunMovedError, writeRun } from './run-states.js';
import { createCommitIntent, type Intent, type Parcel } from './intents.js';
import { handOver } from './send.js';
import { showPause } from './show-pause.js';

/**
 * Batches that have left, or are about to, and whose receipts are not stored yet: so many are sent again after a crash, at the
 * most. As many as requests at once (turns.ts); where commits are slow, receipts would else pile up behind them.
 */
const MAX_LEAVING = 16;

/**
 * Sends everything that the run has planned and follows everything up, until each batch is decided or nothing more may
 * be sent. Sending and asking go on side by side; the account's turns keep the pace.
 * @throws {ShutdownError} when the process stops; whatever else goes wrong in one of the batches.
 */
export async function deliver(context: RunContext): Promise<void> {
  const { run, sending, bell, turns, breaker } = context;
  const { outbox, accepted } = await openOutbox(context);
  const commitIntent = createCommitIntent(context);
  const carried = new Set<Promise<void>>();
  const failures: unknown[] = [];
  /** Parcels that wait for their turn or are being handed over, and people who are looked up first. */
  let leaving = 0;
  let lookUpsWaitFor: LookUpWait | undefined;

  /** Nothing more is sent; receipts are still followed up, unless somebody else has the run or the process stops. */
  const fail = (error: unknown) => {
    failures.push(error);
    // Whoever takes the run up next, we or another, goes on from what is stored.
    const isOver = error instanceof RunMovedError || error instanceof ShutdownError || isDatabaseAway(error);
    if (isOver) shutDown(context);
    else endSending(context, BROKEN);
  };

  /** Lets a batch go its way; the loop below goes on meanwhile. */
  const carry = (work: Promise<void>) => {
    const watched = work
      .catch((error: unknown) => {
        if (error instanceof SendingEndedError) return;
        fail(error);
      })
      .finally(() => {
        carried.delete(watched);
        bell.ring();
      });
    carried.add(watched);
  };

  const follow = async (batch: Batch, isResumed: boolean) => {
    const again = await followUp(context, batch, { isResumed });
    if (again !== undefined) outbox.put([again]);
  };

  const send = async (parcel: Parcel, begun: () => void) => {
    const intent = Promise.withResolvers<Intent>();
    let ended: ReturnType<typeof breaker.begin>;
    const request = {
      kind: parcel.entries.length === 1 ? 'SINGLE' : 'BATCH',
      priority: context.urgency,
      signal: sending.signal,
      prepare: async () => {
        begun();
        ended = breaker.begin(run);
        intent.resolve(ended === undefined ? { held: true } : await commitIntent(parcel));
      },
    } as const;
    leaving += 1;
    const result = await lookAtClock(context, parcel)
      .then(() => turns.take(request, async () => handOver(context, parcel, await intent.promise, ended)))
      .then((commit) => commit())
      .finally(() => {
        if (ended === undefined) breaker.leavePlace(run);
        else ended('NOT_TAKEN');
        leaving -= 1;
        begun();
        bell.ring();
      });
    if ('again' in result) outbox.put(result.again);
    // On a way of its own: thousands can wait for their outcome at once, and this one still holds the contacts.
    else carry(follow(result.accepted, false));
  };

  const check = async () => {
    leaving += 1;
    await checkPeople(context, {
      admit: (entries) => {
        outbox.pack(entries);
        bell.ring();
      },
      waits: (what) => {
        if (what !== lookUpsWaitFor) bell.ring();
        lookUpsWaitFor = what;
      },
    }).finally(() => {
      leaving -= 1;
      lookUpsWaitFor = undefined;
    });
  };

  /** Asks the harmless question that comes before a test of the destination. */
  const askDestination = async (answered: (isAnswered: boolean) => void) => {
    const { destination } = context;
    try {
      await callOnce(context, (credentials) => destination.list(credentials, run.listId));
      answered(true);
    } catch (error: unknown) {
      answered(false);
      if (!(error instanceof RetryLaterError)) throw error;
    }
  };

  for (const batch of accepted) carry(follow(batch, true));
  carry(check());
  try {
    while (!sending.signal.aborted) {
      const seen = bell.count();
      if (leaving >= MAX_LEAVING) {
        await bell.after(seen);
        continue;
      }
      const hasToSend = !outbox.isEmpty() || leaving > 0;
      await showPause(context, breaker.isOpen() && hasToSend);
      const admission = breaker.admits(run);
      const isTest = admission !== 'ANY';
      const mayAsk = breaker.isQuestionDue();
      const parcel = admission === 'NONE' && !mayAsk ? undefined : await outbox.take(isTest);
      if (parcel !== undefined && breaker.takePlace(run)) {
        // One parcel at a time waits for its turn: the next is chosen only when this one has gone.
        await new Promise<void>((begun) => carry(send(parcel, begun)));
        continue;
      }
      if (parcel !== undefined) outbox.put([parcel]);
      // Somebody else may have a batch to test with.
      else if (leaving === (lookUpsWaitFor === 'OTHERS' ? 1 : 0)) breaker.leavePlace(run);
      if (outbox.isEmpty() && carried.size === 0) break;
      const allSent = outbox.isEmpty() && leaving === 0;
      await showPhase(context, allSent ? ExportRunPhase.CONFIRMING : ExportRunPhase.SENDING);
      const hasTest = parcel !== undefined || lookUpsWaitFor === 'BREAKER';
      const answered = hasTest ? breaker.claimQuestion(run) : undefined;
      if (answered !== undefined) carry(askDestination(answered));
      const waitsFor = admission !== 'NONE' || mayAsk ? outbox.dueAt(isTest) : breaker.questionDueAt();
      await bell.after(seen, hasToSend ? waitsFor : undefined);
    }
  } catch (error: unknown) {
    fail(error);
  }
  await settled(carried);
  breaker.leavePlace(run);
  if (failures.length > 0) throw failures[0];
  if (sending.signal.aborted && !(sending.signal.reason instanceof SendingEndedError))
    throw sending.signal.reason;
}

async function showPhase({ run, services }: RunContext, phase: ExportRunPhase): Promise<void> {
  if (run.phase === phase) return;
  await transactAs(services, run, async ({ manager, afterCommit }) => {
    await writeRun(manager, run, { phase });
    afterCommit(() => services.hub.changed(run.id));
  });
}

async function settled(work: ReadonlySet<Promise<void>>): Promise<void> {
  while (work.size > 0) await Promise.all(work);
}
