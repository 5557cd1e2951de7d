import type { EntityManager } from 'typeorm';
import { Batch, BatchState } from '../entities/batch.js';
import type { ExportRun } from '../entities/export-run.js';
import { RejectionReason } from '../entities/rejection.js';
import { RetryLaterError, type Outcome } from '../destinations/destination.js';
import { callOnce, waitWhileAway } from './call-destination.js';
import { transactAs } from './fence.js';
import { resolveEntries } from './late-outcomes.js';
import { ledgerOf, type RemovalWindow } from './ledger.js';
import { noteSightings } from './note-sightings.js';
import { afterAnswer, lateWindow, maxGapOf } from './removal-windows.js';
import type { RunContext } from './run-context.js';
import { count } from './run-states.js';

/** How often a batch is asked about in a row without an answer before its outcome counts as unknown for good. */
const MAX_TRIES = 3;

/** A batch that is under way is not given up before it said so this often, however late the answers come. */
const MIN_PENDING = 5;

/** Questions under way at once: one that gets no answer keeps the others waiting no longer than that. */
const AT_ONCE = 16;

/** What is asked about one batch of an earlier run until it is decided. */
interface Inquiry {
  readonly batch: Batch;
  /** Writes down what answers told of the windows, see `noteSightings`. */
  readonly note: () => Promise<void>;
  answer: 'NONE' | 'DECIDED' | 'PENDING' | 'UNANSWERED';
  /** Questions in a row without an answer; a destination that was away altogether does not count. */
  unanswered: number;
  /** Answers that the batch is still under way. */
  pending: number;
  /** When to ask next, by the monotonic clock. */
  dueAt: number;
}

/**
 * Asks about what earlier runs of the ledger sent without learning how it ended, before anything is sent again: whoever
 * arrived then is not sent twice. Each batch is decided by one answer; who is still unknown afterwards is sent again if
 * wanted.
 *
 * A batch that the destination still works on is not decided: what it does to its people is yet to come, and a look-up
 * would show them as they were before. It is asked about again as a run asks about its own batches, until it is decided
 * or `lostAfterMs` have passed. Then its outcome counts as unknown.
 *
 * A batch whose question the destination does not answer is asked about three times, `unansweredAfterMs` from the first
 * to the last, all such batches together. Then its outcome counts as unknown. A round in which the destination is away
 * altogether does not count: it is waited for.
 * @throws {SendingEndedError} when the run may not go on: what was not decided is asked about by the next run.
 */
export async function askAboutPastBatches(context: RunContext): Promise<void> {
  const { services, limits, run, sending } = context;
  const { clock } = services;
  const batches = await unconfirmedBatches(services.database.reader, run);
  let open = batches.map((batch) => inquiryAbout(context, batch));
  let lostAt = clock.monotonic() + limits.lostAfterMs;
  while (open.length > 0) {
    const askedAt = clock.monotonic();
    const due = open.filter(({ dueAt }) => dueAt <= askedAt);
    await askAbout(context, due);
    const answeredAt = clock.monotonic();
    const wasAway = due.some(({ answer }) => answer === 'UNANSWERED') && (await waitWhileAway(context));
    if (wasAway) lostAt += clock.monotonic() - answeredAt;
    for (const inquiry of due) await decideNext(context, inquiry, { wasAway, lostAt });
    open = open.filter(({ answer }) => answer !== 'DECIDED');
    const nextAt = Math.min(...open.map(({ dueAt }) => dueAt));
    if (open.length > 0) await clock.sleep(Math.max(0, nextAt - clock.monotonic()), sending.signal);
  }
}

function inquiryAbout(context: RunContext, batch: Batch): Inquiry {
  const { services, run } = context;
  const note = noteSightings(services, batch, () =>
    transactAs(services, run, async ({ manager }) => {
      await count(manager, run, {});
      const { begunAt, seenAt, windows } = batch;
      await manager.update(Batch, { id: batch.id }, { begunAt, seenAt, windows });
    }),
  );
  return { batch, note, answer: 'NONE', unanswered: 0, pending: 0, dueAt: 0 };
}

/** Decides after an answer, or none, when the batch is asked about again, or gives it up. */
async function decideNext(
  context: RunContext,
  inquiry: Inquiry,
  { wasAway, lostAt }: { readonly wasAway: boolean; readonly lostAt: number },
): Promise<void> {
  const { limits, services } = context;
  if (inquiry.answer === 'DECIDED') return;
  const now = services.clock.monotonic();
  if (inquiry.answer === 'PENDING') {
    inquiry.unanswered = 0;
    inquiry.pending += 1;
    inquiry.dueAt = now + limits.outcomeIntervalMs;
    await inquiry.note();
  } else if (wasAway) {
    inquiry.dueAt = now;
  } else {
    inquiry.unanswered += 1;
    inquiry.dueAt = now + limits.unansweredAfterMs / (MAX_TRIES - 1);
  }
  const isLost = now >= lostAt && inquiry.pending >= MIN_PENDING;
  if (inquiry.unanswered >= MAX_TRIES || (isLost && inquiry.answer === 'PENDING')) {
    await giveUp(context, inquiry);
  }
}

/** Asks once about each. */
async function askAbout(context: RunContext, inquiries: readonly Inquiry[]): Promise<void> {
  const next = inquiries.values();
  const ask = async () => {
    for (const inquiry of next) await askOnce(context, inquiry);
  };
  const asking = await Promise.allSettled(Array.from({ length: AT_ONCE }, ask));
  for (const asked of asking) if (asked.status === 'rejected') throw asked.reason;
}

async function askOnce(context: RunContext, inquiry: Inquiry): Promise<void> {
  const { destination, limits } = context;
  const { batch } = inquiry;
  // Before the first answer of this run nobody asked, perhaps for long.
  const maxGapMs = maxGapOf(limits, { isInterrupted: inquiry.answer !== 'PENDING' });
  try {
    const outcome = await callOnce(context, (credentials) =>
      destination.outcome(credentials, batch.receipt ?? ''),
    );
    if (outcome.state === 'PENDING') {
      Object.assign(batch, afterAnswer(batch, outcome, maxGapMs));
      inquiry.answer = 'PENDING';
      return;
    }
    await resolve(context, batch, { outcome, maxGapMs });
    inquiry.answer = 'DECIDED';
  } catch (error: unknown) {
    if (!(error instanceof RetryLaterError)) throw error;
    inquiry.answer = 'UNANSWERED';
  }
}

/** Nobody will say any more what became of the batch: its people stay in doubt. */
async function giveUp(context: RunContext, inquiry: Inquiry): Promise<void> {
  const { batch, answer } = inquiry;
  const why = answer === 'PENDING' ? STILL_UNDER_WAY : context.trouble?.message;
  context.services.logger.warn({ batch: batch.id, why }, 'outcome of an earlier batch given up');
  await resolve(context, batch, undefined);
  inquiry.answer = 'DECIDED';
}

const STILL_UNDER_WAY = 'The destination answered until the end that it was still working on the batch.';

/** An answer that decides, and how far it may lie from the one before it; see removal-windows.ts. */
interface Decided {
  readonly outcome: Outcome;
  readonly maxGapMs: number;
}

/**
 * @param decided people are learned about if it is COMPLETED; otherwise, and without one, they stay in doubt, and are sent
 *   again if wanted.
 */
async function resolve(context: RunContext, batch: Batch, decided: Decided | undefined): Promise<void> {
  const { run, services } = context;
  await transactAs(services, run, async ({ manager, afterCommit }) => {
    await count(manager, run, {});
    if (decided?.outcome.state === 'COMPLETED') {
      const window = lateWindow(batch, decided.outcome.at, decided.maxGapMs);
      await learn(manager, context, batch, decided.outcome, window);
    }
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
  { failures, possibleReasons }: Outcome & { state: 'COMPLETED' },
  window: RemovalWindow | undefined,
): Promise<void> {
  const { id } = await ledgerOf(manager, run);
  const { account, listId } = run;
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
