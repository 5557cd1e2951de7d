import { In } from 'typeorm';
import type { Contact } from '../destinations/destination.js';
import { Batch, BatchState } from '../entities/batch.js';
import { exhaustBatch } from './batches.js';
import { plannedAfter, plannedIn, type PlannedEntry } from './planned.js';
import { spentOn } from './present-outage.js';
import { contactOf } from './mapping.js';
import type { RunContext } from './run-context.js';
import type { Parcel } from './intents.js';
import { takenRanges } from './taken-ranges.js';
import { hasTriesLeft, MAX_UNPROVEN_TRIES, unprovenTriesOf } from './unproven-tries.js';

/** What one run has still to send, in the order in which it should go. */
export interface Outbox {
  /**
   * Takes the next parcel that may go now: one that is to be sent again and is due, else the next contacts of the
   * ledger. Undefined: nothing may go at present.
   * @param isTest the destination is perhaps out of order: a batch that was tried before goes first, so that no others come
   *   into doubt, and one that has a single try left goes last. Tries of other runs count too: people who have used them up
   *   do not go for an hour.
   */
  readonly take: (isTest: boolean) => Promise<Parcel | undefined>;
  /** Puts parcels in that are to be sent (again). */
  readonly put: (parcels: readonly Parcel[]) => void;
  /** Packs contacts that were looked up first, and puts the parcels in. */
  readonly pack: (entries: readonly PlannedEntry[]) => void;
  /** When `take` may find the next parcel that waits, by the monotonic clock; undefined: none waits for a time. */
  readonly dueAt: (isTest: boolean) => number | undefined;
  /** Whether everything was taken. */
  readonly isEmpty: () => boolean;
}

/** Contacts that one statement reads ahead of the sending: some 5 ms. */
const READ_AHEAD = 2_000;

/** Parcels that failed and are not due yet before no others are drawn: in an outage all people would else be read into memory. */
const MAX_FAILED = 16;

/** Parcels that may be set aside for other runs before the outbox waits for these. */
const MAX_HELD = 4;

/**
 * Opens the outbox of a run, also one that somebody else began: what has no receipt goes out again.
 * @returns besides, the batches that were accepted and are to be followed up.
 */
export async function openOutbox(context: RunContext): Promise<{ outbox: Outbox; accepted: Batch[] }> {
  const { run, services } = context;
  const { reader, scanner } = services.database;
  const accepted = await reader.findBy(Batch, { runId: run.id, state: BatchState.ACCEPTED });
  const unsent = await reader.findBy(Batch, {
    runId: run.id,
    state: In([BatchState.PLANNED, BatchState.SENDING]),
  });
  const [sendable, exhausted] = [unsent.filter(hasTriesLeft), unsent.filter((batch) => !hasTriesLeft(batch))];
  // The process that sent them last died before it knew how that ended.
  for (const batch of exhausted) await exhaustBatch(context, batch);
  const waiting = await Promise.all(
    sendable.map(async (batch): Promise<Parcel> => {
      return { batch, entries: await plannedIn(reader, run, batch), failures: 0, dueAt: 0 };
    }),
  );
  /** Parcels that wait for another run's batch; whatever decides it rings the bell. */
  const held: Parcel[] = [];
  const undecided = [...accepted, ...sendable];
  const taken = takenRanges(undecided.filter((batch) => !batch.checked));
  const takenChecked = takenRanges(undecided.filter((batch) => batch.checked));
  let read: PlannedEntry[] = [];
  const readAfter = (key: string) => {
    const page = plannedAfter(scanner, run, key, READ_AHEAD);
    // It may fail when nobody waits for it any more; whoever does will hear of it.
    page.catch(() => undefined);
    return page;
  };
  /** The next page, which the database reads while the one before is sent; undefined: there is none. */
  let next: Promise<PlannedEntry[]> | undefined = readAfter('');

  const nextOfLedger = async (): Promise<Parcel | undefined> => {
    // Two more than fit: a contact that would be left alone gets company, because singles have a slower pace.
    const enough = context.limits.contactsPerBatch + 2;
    while (read.length < enough && next !== undefined) {
      const page = await next;
      const last = page.at(-1);
      next = last === undefined || page.length < READ_AHEAD ? undefined : readAfter(last.emailKey);
      read = read.concat(page.filter(taken.isFree));
    }
    const stretch = taken.stretch(read);
    const entries = read.splice(0, howMany(context, stretch === read.length ? read : read.slice(0, stretch)));
    return entries.length === 0 ? undefined : newParcel(entries);
  };

  const takeAt = (index: number) => (index === -1 ? undefined : waiting.splice(index, 1)[0]);

  /** Until when parcels are no tests, because their people have used up their tries in other runs. */
  const rests = new WeakMap<Parcel, number>();
  const testableAt = (parcel: Parcel) => Math.max(parcel.dueAt, rests.get(parcel) ?? -Infinity);

  /** How often the people of a parcel were sent in the present outage; if they have used up their tries, it rests. */
  const triesOf = async (parcel: Parcel): Promise<number> => {
    const { tries, forMs } = await spentOn(
      reader,
      services.clock,
      run.account,
      context.limits,
      parcel.entries,
    );
    if (tries >= MAX_UNPROVEN_TRIES) rests.set(parcel, services.clock.monotonic() + Math.max(forMs, 1));
    return Math.max(tries, unprovenTriesOf(parcel.batch));
  };

  const nextTest = async (): Promise<Parcel | undefined> => {
    const now = services.clock.monotonic();
    const due = waiting.filter((parcel) => testableAt(parcel) <= now);
    const tried = (tries: number) => due.filter(({ batch }) => unprovenTriesOf(batch) === tries);
    const first = [...tried(1), ...tried(0)].slice(0, MAX_FAILED);
    const last = tried(MAX_UNPROVEN_TRIES - 1);
    for (;;) {
      const parcel = first.shift() ?? (last.length < MAX_FAILED ? await drawn() : undefined);
      if (parcel === undefined) break;
      const tries = await triesOf(parcel);
      if (tries < MAX_UNPROVEN_TRIES - 1) return takeAt(waiting.indexOf(parcel));
      if (tries < MAX_UNPROVEN_TRIES) last.push(parcel);
    }
    for (const parcel of last) {
      if ((await triesOf(parcel)) < MAX_UNPROVEN_TRIES) return takeAt(waiting.indexOf(parcel));
    }
    return undefined;
  };

  /** The next contacts of the ledger, among those that wait, unless too many wait already. */
  const drawn = async (): Promise<Parcel | undefined> => {
    if (waiting.filter((parcel) => rests.has(parcel)).length >= MAX_FAILED) return undefined;
    const parcel = await nextOfLedger();
    if (parcel !== undefined) waiting.push(parcel);
    return parcel;
  };

  const nextParcel = async (isTest: boolean): Promise<Parcel | undefined> => {
    if (isTest) return nextTest();
    const now = services.clock.monotonic();
    const again = takeAt(waiting.findIndex(({ dueAt }) => dueAt <= now));
    if (again !== undefined) return again;
    return waiting.filter(({ failures }) => failures > 0).length < MAX_FAILED ? nextOfLedger() : undefined;
  };

  return {
    accepted,
    outbox: {
      take: async (isTest) => {
        waiting.push(...held.splice(0));
        while (held.length < MAX_HELD) {
          const parcel = await nextParcel(isTest);
          if (parcel === undefined) return undefined;
          if (!context.hasCompany() || !(await context.holds.isHeld(reader, run, parcel.entries)))
            return parcel;
          held.push(parcel);
        }
        return undefined;
      },
      put: (parcels) => waiting.push(...parcels),
      pack: (entries) => {
        for (let left = entries; left.length > 0;) {
          const count = howMany(context, left.slice(0, takenChecked.stretch(left)));
          waiting.push(newParcel(left.slice(0, count)));
          left = left.slice(count);
        }
      },
      dueAt: (isTest) => {
        if (waiting.length === 0 || held.length === MAX_HELD) return undefined;
        return Math.min(...waiting.map((parcel) => (isTest ? testableAt(parcel) : parcel.dueAt)));
      },
      isEmpty: () => next === undefined && read.length + waiting.length + held.length === 0,
    },
  };
}

function newParcel(entries: readonly PlannedEntry[]): Parcel {
  return { batch: undefined, entries, failures: 0, dueAt: 0 };
}

/** How many of the entries, all that are left or more than fit, the next batch takes. */
function howMany(context: RunContext, entries: readonly PlannedEntry[]): number {
  const { contactsPerBatch } = context.limits;
  const fits = howManyFit(context, entries.slice(0, contactsPerBatch).map(contactOf));
  const leavesOneAlone = entries.length - fits === 1 && entries.length < contactsPerBatch + 2;
  return leavesOneAlone && fits > 2 ? fits - 1 : fits;
}

/** How many of the contacts fit into the bytes of a batch: one at the least, which nobody could make smaller. */
function howManyFit({ destination, limits, run }: RunContext, contacts: readonly Contact[]): number {
  let bytes = 0;
  for (const contact of contacts) bytes += destination.bytesAtMost(contact, run.listId);
  if (bytes <= limits.bytesPerBatch) return contacts.length;
  bytes = 0;
  const tooMany = contacts.findIndex((contact) => {
    bytes += destination.bytesOf(contact, run.listId);
    return bytes > limits.bytesPerBatch;
  });
  return tooMany === -1 ? contacts.length : Math.max(1, tooMany);
}
