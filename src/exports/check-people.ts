import { In } from 'typeorm';
import { RefusedContactsError, RetryLaterError } from '../destinations/destination.js';
import { Batch } from '../entities/batch.js';
import { LedgerTask } from '../entities/ledger.js';
import { RejectionReason } from '../entities/rejection.js';
import { MAX_BACKOFF, waitWhileAway } from './call-destination.js';
import { admitEntries } from './decide-entries.js';
import { UNDECIDED } from './batch-rows.js';
import { transactAs } from './fence.js';
import { formerAddresses } from './former-addresses.js';
import { hasOptedOut, putBack } from './look-up.js';
import { plannedAfter, type PlannedEntry } from './planned.js';
import { rejectPeople, type Rejected } from './reject-people.js';
import { removalsOf } from './removals.js';
import type { RunContext } from './run-context.js';
import { addUp, count } from './run-states.js';
import { takenRanges } from './taken-ranges.js';

/*
 * Nobody who opted out is opted back in. The importer keeps to that by itself, but it also refuses those whom we took
 * off the list and who are members again. They are put back through another call, which overrides an opt-out as well: so
 * the destination's own record is read first, and only an unsubscribe that it dates within one of our removals, and that
 * names no reason and no campaign, is taken back. In doubt it was the person's own choice.
 *
 * The same record is read for the former addresses of a newcomer, so that nobody comes in again by a new address.
 *
 * One person whom the destination cannot answer for keeps nobody else waiting: after three tries that person is left to
 * the next run. A failure counts only if the destination answers another question after it; while it is away altogether,
 * everybody waits.
 */

/** How often one person is tried in a run: looking up and putting back together. */
const MAX_TRIES = 3;

/** PUT_CHECKED without a batch: an earlier worker of the run looked them up, and nobody knows how long ago. */
const CHECKS = [LedgerTask.CHECK, LedgerTask.PUT_CHECKED];

/** What look-ups wait for: a batch of another run with the same address, or the circuit breaker of the account. */
export type LookUpWait = 'OTHERS' | 'BREAKER';

/** Who is told how the look-ups go on. */
export interface LookUpListener {
  /** Takes those who may be sent. */
  readonly admit: (entries: readonly PlannedEntry[]) => void;
  /** Undefined: they go on. */
  readonly waits: (what: LookUpWait | undefined) => void;
}

/** Asks about everybody who is to be looked up first, some hundreds at a time, in key order: batches of them are ranges. */
export async function checkPeople(context: RunContext, { admit, waits }: LookUpListener): Promise<void> {
  const { run, services, limits } = context;
  const { reader } = services.database;
  const batches = await reader.findBy(Batch, { runId: run.id, checked: true, state: In(UNDECIDED) });
  const taken = takenRanges(batches);
  for (let cursor = ''; ;) {
    const people = await plannedAfter(
      services.database.scanner,
      run,
      cursor,
      limits.contactsPerBatch,
      CHECKS,
    );
    const last = people.at(-1);
    if (last === undefined) return;
    const admitted = await checkPage(context, people.filter(taken.isFree), waits);
    if (admitted.length > 0) admit(admitted.map((entry) => ({ ...entry, task: LedgerTask.PUT_CHECKED })));
    cursor = last.emailKey;
  }
}

/** Whoever could not be looked up is tried again after the others. @returns who may be sent, in the same order. */
async function checkPage(
  context: RunContext,
  people: readonly PlannedEntry[],
  waits: LookUpListener['waits'],
): Promise<PlannedEntry[]> {
  const { services, limits, sending } = context;
  const admitted = new Set<PlannedEntry>();
  let left = people;
  for (let tries = 1; left.length > 0; tries += 1) {
    const again: PlannedEntry[] = [];
    let waitMs = limits.retryIntervalMs * 2 ** (tries - 1);
    for (const entry of left) {
      await untilNobodyElseSends(context, entry, waits);
      const problem = await tryToCheck(context, entry);
      const afterMs = problem instanceof RetryLaterError && !problem.tooFast ? (problem.afterMs ?? 0) : 0;
      const isTriedAgain =
        problem instanceof RetryLaterError && tries < MAX_TRIES && mayWait(context, afterMs);
      if (isTriedAgain) {
        again.push(entry);
        waitMs = Math.max(waitMs, afterMs);
      } else if (await decide(context, entry, problem)) {
        admitted.add(entry);
      }
    }
    if (again.length > 0) await services.clock.sleep(waitMs, sending.signal);
    left = again;
  }
  return people.filter((entry) => admitted.has(entry));
}

/** Whether the others may be kept waiting so long because of one person. */
function mayWait({ limits }: RunContext, waitMs: number): boolean {
  return waitMs <= limits.retryIntervalMs * MAX_BACKOFF;
}

/** Writes down what was found. @returns whether the person may be sent. */
async function decide(
  context: RunContext,
  entry: PlannedEntry,
  problem: Rejected | RetryLaterError | undefined,
): Promise<boolean> {
  const { run, services } = context;
  const rejected = problem instanceof RetryLaterError ? notLookedUp(entry, problem) : problem;
  await transactAs(services, run, async ({ manager, afterCommit }) => {
    const added = rejected === undefined ? {} : await rejectPeople(manager, context, [rejected], 'NOBODY');
    await count(manager, run, added);
    if (rejected === undefined) await admitEntries(manager, run, [entry.emailKey]);
    afterCommit(() => {
      addUp(run, added);
      services.metrics.decided(added);
      services.hub.changed(run.id);
    });
  });
  return rejected === undefined;
}

/**
 * Another run may be about to take the address off the list: what is read meanwhile is not what will hold. While the circuit
 * breaker of the account is open nobody is looked up either, except for the run whose batch is to be the test.
 */
async function untilNobodyElseSends(
  { run, services, bell, sending, holds, breaker }: RunContext,
  entry: PlannedEntry,
  waits: LookUpListener['waits'],
): Promise<void> {
  const alone = [entry];
  for (;;) {
    const seen = bell.count();
    sending.signal.throwIfAborted();
    const isHeld = await holds.isHeld(services.database.reader, run, alone);
    const mayAsk = breaker.admits(run) !== 'NONE' || !breaker.isOpen();
    waits(isHeld ? 'OTHERS' : mayAsk ? undefined : 'BREAKER');
    if (mayAsk && !isHeld) return;
    await bell.after(seen);
  }
}

/**
 * What is against sending the person, undefined: nothing. A RetryLaterError: the destination cannot say it of this person,
 * although it answers other questions.
 */
async function tryToCheck(
  context: RunContext,
  entry: PlannedEntry,
): Promise<Rejected | RetryLaterError | undefined> {
  for (;;) {
    try {
      return await problemWith(context, entry);
    } catch (error: unknown) {
      if (error instanceof RefusedContactsError) return { entry, detail: error.message };
      if (!(error instanceof RetryLaterError)) throw error;
      if (!(await waitWhileAway(context))) return error;
    }
  }
}

/** @throws {RefusedContactsError} | {RetryLaterError} */
async function problemWith(context: RunContext, entry: PlannedEntry): Promise<Rejected | undefined> {
  const { run, services } = context;
  const { reader } = services.database;
  for (const former of await formerAddresses(reader, run, entry)) {
    if (await hasOptedOut(context, former)) {
      return { entry, reason: RejectionReason.OPTED_OUT, detail: FORMER_OPTED_OUT };
    }
  }
  // A newcomer whom nobody ever took off the list needs no look: the importer keeps to opt-outs.
  if (entry.isNew && (await removalsOf(services, reader, run, entry.emailKey)).length === 0) {
    return undefined;
  }
  const { emailKey, wanted } = entry;
  const outcome = await putBack(context, { email: wanted[0], emailKey });
  return outcome === 'OPTED_OUT'
    ? { entry, reason: RejectionReason.OPTED_OUT, detail: OPTED_OUT }
    : undefined;
}

function notLookedUp(entry: PlannedEntry, { message }: RetryLaterError): Rejected {
  const detail = `The contact could not be looked up at the destination or put back on the list: ${message} The next run tries again.`;
  return { entry, detail, stands: false };
}

const OPTED_OUT =
  'The address was taken off the list, and not surely by Sluice: it counts as an opt-out of the person.';
const FORMER_OPTED_OUT =
  'A former address of this profile was taken off the list, and not surely by Sluice: it counts as an opt-out of the person.';
