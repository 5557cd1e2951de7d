import { In } from 'typeorm';
import { RefusedContactsError, RetryLaterError, type Membership } from '../destinations/destination.js';
import { Batch } from '../entities/batch.js';
import { LedgerTask } from '../entities/ledger.js';
import { RejectionReason } from '../entities/rejection.js';
import { callDestination } from './call-destination.js';
import { admitEntries, doubtEntry } from './decide-entries.js';
import { UNDECIDED } from './batch-rows.js';
import { transactAs } from './fence.js';
import { formerAddresses } from './former-addresses.js';
import { isRemovalUnderWay, type RemovalWindow } from './ledger.js';
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
 */

/** A key may be allowed everything but this; that answer does not tell itself from one that passes. */
const MAX_TRIES = 5;

const CHECKS = [LedgerTask.CHECK, LedgerTask.PUT_CHECKED];

/**
 * Asks about everybody who is to be looked up first, some hundreds at a time, in key order: batches of them are ranges.
 * @param admit takes those who may be sent.
 */
export async function checkPeople(
  context: RunContext,
  admit: (entries: readonly PlannedEntry[]) => void,
): Promise<void> {
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
    const admitted: PlannedEntry[] = [];
    for (const entry of people.filter(taken.isFree)) {
      if (entry.task === LedgerTask.PUT_CHECKED || (await check(context, entry))) admitted.push(entry);
    }
    if (admitted.length > 0) admit(admitted.map((entry) => ({ ...entry, task: LedgerTask.PUT_CHECKED })));
    cursor = last.emailKey;
  }
}

/** Whether the person may be sent; if not, it is written down why. */
async function check(context: RunContext, entry: PlannedEntry): Promise<boolean> {
  await untilNobodyElseSends(context, entry);
  const problem = await problemWith(context, entry);
  const { run, services } = context;
  await transactAs(services, run, async ({ manager, afterCommit }) => {
    const added = problem === undefined ? {} : await rejectPeople(manager, context, [problem], 'NOBODY');
    await count(manager, run, added);
    if (problem === undefined) await admitEntries(manager, run, [entry.emailKey]);
    afterCommit(() => {
      addUp(run, added);
      services.metrics.decided(added);
      services.hub.changed(run.id);
    });
  });
  return problem === undefined;
}

/** Another run may be about to take the address off the list: what is read meanwhile is not what will hold. */
async function untilNobodyElseSends(
  { run, services, bell, sending, holds }: RunContext,
  entry: PlannedEntry,
): Promise<void> {
  const alone = [entry];
  for (;;) {
    const seen = bell.count();
    sending.signal.throwIfAborted();
    if (!(await holds.isHeld(services.database.reader, run, alone))) return;
    await bell.after(seen);
  }
}

async function problemWith(context: RunContext, entry: PlannedEntry): Promise<Rejected | undefined> {
  const { run, services } = context;
  const { reader } = services.database;
  for (const former of await formerAddresses(reader, run, entry)) {
    if ((await lookUp(context, former)).optedOut) {
      return { entry, reason: RejectionReason.OPTED_OUT, detail: FORMER_OPTED_OUT };
    }
  }
  // A newcomer whom nobody ever took off the list needs no look: the importer keeps to opt-outs.
  if (entry.isNew && (await removalsOf(services, reader, run, entry.emailKey)).length === 0) {
    return undefined;
  }
  const { optedOut, takeBack } = await lookUp(context, { email: entry.wanted[0], ...entry });
  if (optedOut) return { entry, reason: RejectionReason.OPTED_OUT, detail: OPTED_OUT };
  if (takeBack === undefined) return undefined;
  // Once it is back it must not be forgotten there, whatever becomes of the rest.
  await transactAs(services, run, async ({ manager }) => {
    await count(manager, run, {});
    await doubtEntry(manager, run, entry.emailKey);
  });
  try {
    await takeBack();
  } catch (error: unknown) {
    if (error instanceof RefusedContactsError || error instanceof RetryLaterError)
      return { entry, detail: error.message };
    throw error;
  }
  return undefined;
}

interface Record {
  /** Off the list, and not surely by us. */
  readonly optedOut: boolean;
  /** Puts somebody back whom we took off the list. */
  readonly takeBack?: () => Promise<void>;
}

const ON_LIST: Record = { optedOut: false };

/** What the destination's record of an address says. A removal of ours that is under way is waited for. */
async function lookUp(
  context: RunContext,
  { email, emailKey }: { email: string; emailKey: string },
): Promise<Record> {
  const { run, services, destination, bell, sending } = context;
  const { reader } = services.database;
  for (;;) {
    const seen = bell.count();
    sending.signal.throwIfAborted();
    const contact = await callDestination(context, (credentials) =>
      destination.findContact(credentials, email),
    );
    if (contact === undefined) return ON_LIST;
    const membership = await callDestination(context, (credentials) =>
      destination.membership(credentials, contact, run.listId),
    );
    if (membership?.status !== 'UNSUBSCRIBED') return ON_LIST;
    const isUnderWay = await isRemovalUnderWay(reader, run, emailKey);
    if (isOurs(membership, await removalsOf(services, reader, run, emailKey))) {
      const takeBack = () =>
        callDestination(context, (credentials) => destination.subscribe(credentials, contact, run.listId), {
          maxTries: MAX_TRIES,
        });
      return { optedOut: false, takeBack };
    }
    if (!isUnderWay) return { optedOut: true };
    await bell.after(seen);
  }
}

/** The destination's record shows whole seconds. */
const RECORD_MS = 1_000;

function isOurs({ byPerson, changedAt }: Membership, removals: readonly RemovalWindow[]): boolean {
  if (byPerson || changedAt === undefined) return false;
  return removals.some(
    ({ from, to }) => changedAt >= Math.floor(from / RECORD_MS) * RECORD_MS && changedAt <= to,
  );
}

const OPTED_OUT =
  'The address was taken off the list, and not surely by Sluice: it counts as an opt-out of the person.';
const FORMER_OPTED_OUT =
  'A former address of this profile was taken off the list, and not surely by Sluice: it counts as an opt-out of the person.';
