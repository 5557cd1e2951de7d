import { FIELDS, type Field, type ModelDestination, type Result } from './destination.js';
import { ledgerOf, pick, refusalOf, type Entry, type ModelExport } from './ledger.js';

export type Fate = 'NEW' | 'CHANGED' | 'RETURNING' | 'LEAVER';

export interface Planned {
  readonly key: string;
  readonly entry: Entry;
  readonly fate: Fate;
}

/** Tries to send somebody of which nothing proves that they were not taken, by the destination's record. */
export interface Unproven {
  readonly tries: number;
  /** The destination took one of them. */
  readonly wasTaken: boolean;
}

/** What keeps a run from learning what it did. */
export interface Trouble {
  /** By e-mail key. */
  readonly unproven: ReadonlyMap<string, Unproven>;
  /** As soon as everybody is accepted, nobody may ask any more what became of them. The next run does. */
  readonly isCutOff: boolean;
}

export const NO_TROUBLE: Trouble = { unproven: new Map(), isCutOff: false };

/** The first try and two further ones: then people are not sent again in the run. */
const MAX_TRIES = 3;

/** UNCONFIRMED: it may be at the destination, or not. */
type Delivered = Result | 'OPTED_OUT' | 'UNCONFIRMED';

/** Delivers what runs have planned, and keeps what Sluice knows of it. */
export class Delivery {
  /** By list and e-mail key: when removals took effect that were surely ours. An unsubscribe of another time is not. */
  private readonly removals = new Map<string, Set<number>>();
  /** By list, by profile: every address under which the profile was ever wanted there. */
  private readonly addresses = new Map<number, Map<string, Set<string>>>();

  constructor(
    private readonly destination: ModelDestination,
    private readonly exports: readonly ModelExport[],
  ) {}

  rememberAddress(list: number, profile: string, key: string): void {
    const byProfile = this.addresses.get(list) ?? new Map<string, Set<string>>();
    this.addresses.set(list, byProfile);
    byProfile.set(profile, (byProfile.get(profile) ?? new Set()).add(key));
  }

  /** Whether somebody who was never delivered will be failed. */
  failsNewcomer(list: number, { key, entry, fate }: Planned): boolean {
    if (!isNewcomer(entry) || entry.onList !== 'NO') return false;
    const { destination } = this;
    if (destination.refusal(key) !== undefined) return true;
    return fate !== 'LEAVER' && destination.refusalOnList(key, list) !== undefined;
  }

  /** Whether the destination is asked about the person before anything is sent. */
  looksUp(list: number, { key, entry, fate }: Planned): boolean {
    return fate === 'RETURNING' || (fate === 'NEW' && this.formerAddresses(list, key, entry).length > 0);
  }

  deliverAll(definition: ModelExport, planned: readonly Planned[], trouble: Trouble) {
    const { list } = definition;
    const ledger = ledgerOf(definition);
    const newRefusals: { entry: Entry; wasRefused: boolean }[] = [];
    const counted = { sent: 0, confirmed: 0, rejected: 0, unconfirmed: 0 };
    let newcomersRefused = 0;
    let failed = 0;
    for (const one of planned) {
      const { entry, fate } = one;
      const isNew = fate !== 'LEAVER' && isNewcomer(entry);
      const result = this.deliver(list, one, trouble);
      if (result === 'UNCONFIRMED') {
        counted.unconfirmed += 1;
        continue;
      }
      if (result === 'DONE' || result === 'FAILED') counted.sent += 1;
      if (result === 'FAILED') failed += 1;
      if (result === 'DONE') {
        counted.confirmed += 1;
        entry.wasRefused = false;
        continue;
      }
      counted.rejected += 1;
      entry.refused = refusalOf(entry, fate === 'LEAVER');
      entry.isOptOut = result === 'OPTED_OUT';
      const { wasRefused } = entry;
      if (isNew && result !== 'OPTED_OUT') newRefusals.push({ entry, wasRefused });
      if (isNew && result === 'FAILED' && !wasRefused) newcomersRefused += 1;
      entry.wasRefused = true;
    }
    const mayLackRoom = newcomersRefused > 0 || newRefusals.some(({ wasRefused }) => wasRefused);
    const isFull = this.destination.isFull && failed > 0 && mayLackRoom;
    // It is about the account, not about these people, nor about those whom earlier runs were refused.
    if (isFull) {
      for (const { entry, wasRefused } of newRefusals)
        Object.assign(entry, { refused: undefined, wasRefused });
      for (const entry of ledger.values())
        if (isNewcomer(entry) && !entry.isLeaving && !entry.isOptOut) entry.refused = undefined;
    }
    return { ...counted, isFull };
  }

  /** Asks what became of those whom an earlier run of the export sent, and could not ask about. */
  learn(definition: ModelExport): void {
    const { list } = definition;
    for (const [key, entry] of ledgerOf(definition)) {
      const { late } = entry;
      if (late === undefined) continue;
      entry.late = undefined;
      if (late.result === 'DONE') {
        if (entry.isLeaving) this.noteRemoval(list, key, entry, late.at);
        else noteDelivery(entry);
        Object.assign(entry, { refused: undefined, wasRefused: false });
      } else if (entry.isLeaving || !isNewcomer(entry)) {
        // Whether the account was full when a newcomer was refused, nobody knows.
        entry.refused = refusalOf(entry, entry.isLeaving);
      }
    }
  }

  private deliver(list: number, { key, entry, fate }: Planned, trouble: Trouble): Delivered {
    if (fate !== 'LEAVER' && fate !== 'CHANGED' && this.hasOptedOut(list, key, entry, fate))
      return 'OPTED_OUT';
    const { tries = 0, wasTaken = false } = trouble.unproven.get(key) ?? {};
    const send = () => (fate === 'LEAVER' ? this.destination.remove(key, list) : this.put(list, key, entry));
    if (trouble.isCutOff) {
      noteDoubt(entry);
      entry.late = { result: send(), at: this.destination.now };
    } else if (tries >= MAX_TRIES) {
      noteDoubt(entry);
      if (wasTaken) send();
    } else {
      const result = send();
      if (result === 'DONE' && fate === 'LEAVER') this.noteRemoval(list, key, entry, this.destination.now);
      else if (result === 'DONE') noteDelivery(entry);
      // Nothing of it was taken if it was refused at once; in part it may have been otherwise, or by an earlier try.
      if (result === 'FAILED' && (tries > 0 || !isNewcomer(entry))) noteDoubt(entry);
      return result;
    }
    if (fate === 'LEAVER') this.noteRemoval(list, key, entry);
    return 'UNCONFIRMED';
  }

  /** What is empty is sent only to clear a field that was filled. */
  private put(list: number, key: string, entry: Entry): Result {
    const isEmpty = (field: Field) => (entry.wanted.values[field] ?? '') === '';
    const sendable = FIELDS.filter((field) => !isEmpty(field) || entry.filled.has(field));
    const result = this.destination.put(key, list, pick(entry.wanted.values, sendable));
    if (result !== 'REFUSED_AT_ONCE')
      for (const field of FIELDS) if (!isEmpty(field)) entry.filled.add(field);
    return result;
  }

  /**
   * The contact is off the list.
   * @param at when that took effect; undefined: it is off the list perhaps, and nobody knows when.
   */
  private noteRemoval(list: number, key: string, entry: Entry, at?: number): void {
    Object.assign(entry, {
      removed: true,
      isSure: at !== undefined,
      onList: at === undefined ? 'MAYBE' : 'NO',
    });
    // Whoever put it there, and did not have it kept, cannot rely on it any more.
    for (const other of this.exports) {
      const theirs = other.ledgers.get(list)?.get(key);
      if (theirs === undefined || theirs === entry || theirs.onList === 'NO') continue;
      if (theirs.onList === 'MAYBE' && theirs.isLeaving) continue;
      const isDoubtful = theirs.onList === 'MAYBE' || !theirs.isSure;
      Object.assign(theirs, { onList: isDoubtful ? 'MAYBE' : 'NO', removed: true, late: undefined });
    }
    // A time that lies back proves nothing: meanwhile anybody may have taken it off.
    if (at !== this.destination.now) return;
    const removals = this.removals.get(`${list} ${key}`) ?? new Set();
    this.removals.set(`${list} ${key}`, removals.add(at));
  }

  /** Looks up who must be looked up, and puts back on the list whom we took off it. */
  private hasOptedOut(list: number, key: string, entry: Entry, fate: 'NEW' | 'RETURNING'): boolean {
    const { destination } = this;
    if (this.formerAddresses(list, key, entry).some((former) => this.isOptOut(list, former))) return true;
    // A newcomer whom nobody surely took off the list needs no look: the destination keeps to opt-outs.
    if (fate === 'NEW' || (isNewcomer(entry) && !this.removals.has(`${list} ${key}`))) return false;
    if (this.isOptOut(list, key)) return true;
    if (destination.standing(key, list) === 'REMOVED') {
      destination.optIn(key, list);
      noteDoubt(entry);
    }
    return false;
  }

  private isOptOut(list: number, key: string): boolean {
    const standing = this.destination.standing(key, list);
    if (standing !== 'REMOVED') return standing === 'OPTED_OUT';
    const removedAt = this.destination.removedAt(key, list);
    return removedAt === undefined || this.removals.get(`${list} ${key}`)?.has(removedAt) !== true;
  }

  /** Other addresses of the profile: who opted out by one of them does not come in by a new one. */
  private formerAddresses(list: number, key: string, { wanted }: Entry): string[] {
    const addresses = this.addresses.get(list)?.get(wanted.profile) ?? new Set();
    return [...addresses].filter((other) => other !== key);
  }
}

/** Neither delivered by the export, nor taken off by it. */
const isNewcomer = ({ delivered, removed }: Entry) => delivered === undefined && !removed;

function noteDelivery(entry: Entry): void {
  const delivered = { ...entry.delivered, ...entry.wanted.values };
  Object.assign(entry, { delivered, isSure: true, onList: 'YES', removed: false });
}

/** It may be on the list, and nobody knows what the destination holds of it. */
function noteDoubt(entry: Entry): void {
  entry.isSure = false;
  if (entry.onList === 'NO') entry.onList = 'MAYBE';
}
