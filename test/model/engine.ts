import { FIELDS, type Field, type ModelDestination, type Result } from './destination.js';
import {
  hasDeparted,
  holds,
  knowsWhoLeft,
  ledgerOf,
  mapped,
  newEntry,
  noteMember,
  passHold,
  pick,
  refusalOf,
  REMOVAL,
  textOf,
  type Attributes,
  type Entry,
  type ModelExport,
  type Wanted,
} from './ledger.js';

/*
 * What a run should do, by design §3 alone: for people by the handful, with plain maps, without batches, without a
 * database. It knows nothing of how the engine does it.
 */

type Fate = 'NEW' | 'CHANGED' | 'RETURNING' | 'LEAVER';

/** What a run should tell, and cost. */
export interface Expected {
  readonly state: 'SUCCEEDED' | 'SUCCEEDED_WITH_WARNINGS' | 'SKIPPED' | 'CANCELED';
  readonly problem: string | null;
  readonly progress: Readonly<Record<string, number | null>>;
  /** Contacts that the importer takes in. */
  readonly sent: number;
}

/** A run that has prepared. If it is held, it is cancelled, or approved: then it prepares again. */
export interface Prepared {
  readonly isHeld: boolean;
  readonly leavers: number;
  /** Whether the destination will fail somebody who was never delivered. */
  readonly failsNewcomers: boolean;
  /** Passes the hold, and sends everything. */
  readonly deliver: (unproven?: UnprovenTries) => Expected;
}

/** By e-mail key: how often it was sent without a proof that the try was not taken, by the destination's record. */
export type UnprovenTries = ReadonlyMap<string, number>;

interface Planned {
  readonly key: string;
  readonly entry: Entry;
  readonly fate: Fate;
}

export class Model {
  readonly profiles = new Map<string, Attributes>();
  /** By list, by profile: every address under which the profile was ever wanted there. */
  private readonly addresses = new Map<number, Map<string, Set<string>>>();

  constructor(
    readonly destination: ModelDestination,
    readonly exports: readonly ModelExport[],
  ) {}

  /** @param approved how many leavers somebody has approved for this run. */
  prepare(definition: ModelExport, { force = false, approved = 0 } = {}): Prepared {
    if (!definition.segments.some(({ active }) => active)) {
      return { isHeld: false, leavers: 0, failsNewcomers: false, deliver: () => SKIPPED };
    }
    const { wanted, members, skipped, badAddresses } = this.membersOf(definition);
    const ledger = ledgerOf(definition);
    const counted = { unchanged: 0, leavers: 0, toSend: 0, confirmed: 0, rejected: 0 };
    const deliveredBefore = [...ledger.values()].filter(({ onList }) => onList === 'YES').length;
    const planned: Planned[] = [];
    for (const key of new Set([...wanted.keys(), ...ledger.keys()])) {
      const person = wanted.get(key);
      const entry = ledger.get(key) ?? newEntry(person);
      ledger.set(key, entry);
      const fate = this.fateOf(definition, key, entry, person, force);
      noteMember(definition, entry, person);
      if (fate === 'NONE') continue;
      if (fate !== 'REFUSED') entry.refused = undefined;
      if (fate === 'UNCHANGED') {
        counted.unchanged += 1;
        continue;
      }
      counted.toSend += 1;
      if (person === undefined) counted.leavers += 1;
      if (fate === 'REFUSED') counted.rejected += 1;
      else planned.push({ key, entry, fate });
    }
    this.remember(definition.list, wanted);
    const { leavers } = counted;
    const isMuch = leavers * 100 > deliveredBefore * definition.holdPercent || leavers >= deliveredBefore;
    const deliver = (unproven: UnprovenTries = new Map()): Expected => {
      passHold(definition);
      const { confirmed, rejected, sent, isFull } = this.deliverAll(definition, planned, unproven);
      counted.confirmed = confirmed;
      counted.rejected += rejected;
      return {
        state: counted.rejected + badAddresses > 0 || isFull ? 'SUCCEEDED_WITH_WARNINGS' : 'SUCCEEDED',
        problem: isFull ? 'ACCOUNT_FULL' : null,
        progress: { members, skipped, ...counted, unconfirmed: 0, notSent: 0 },
        sent,
      };
    };
    const failsNewcomers = planned.some((one) => this.failsNewcomer(definition.list, one));
    return { isHeld: leavers > approved && isMuch, leavers, failsNewcomers, deliver };
  }

  private failsNewcomer(list: number, { key, entry, fate }: Planned): boolean {
    if (entry.delivered !== undefined || entry.onList !== 'NO' || entry.removed) return false;
    const { destination } = this;
    if (destination.refusal(key) !== undefined) return true;
    // Whoever returns is put on the list by another call first, or is not sent.
    return (fate === 'NEW' || fate === 'CHANGED') && destination.refusalOnList(key, list) !== undefined;
  }

  private deliverAll({ list }: ModelExport, planned: readonly Planned[], unproven: UnprovenTries) {
    const newRefusals: { entry: Entry; wasRefused: boolean }[] = [];
    let [newcomersRefused, sent, confirmed, rejected] = [0, 0, 0, 0];
    for (const { key, entry, fate } of planned) {
      const isNew = fate !== 'LEAVER' && entry.delivered === undefined && !entry.removed;
      const result = this.deliver(list, key, entry, fate);
      // What fails now may have arrived by an earlier try.
      if (result === 'FAILED' && entry.onList === 'NO' && unproven.has(key)) entry.onList = 'MAYBE';
      if (result !== 'DONE') entry.refused = refusalOf(entry, fate === 'LEAVER');
      if (result === 'DONE' || result === 'FAILED') sent += 1;
      if (result === 'DONE') {
        confirmed += 1;
        entry.wasRefused = false;
      } else {
        rejected += 1;
        const { wasRefused } = entry;
        if (isNew && result !== 'OPTED_OUT') newRefusals.push({ entry, wasRefused });
        if (isNew && result === 'FAILED' && !wasRefused) newcomersRefused += 1;
        entry.wasRefused = true;
      }
    }
    const isFull = this.destination.isFull && newcomersRefused > 0;
    // It is about the account, not about these people.
    if (isFull)
      for (const { entry, wasRefused } of newRefusals)
        Object.assign(entry, { refused: undefined, wasRefused });
    return { confirmed, rejected, sent, isFull };
  }

  /** The union of the active segments; of two with one address the first by id. */
  private membersOf({ segments, mapping }: ModelExport) {
    const active = segments.filter((segment) => segment.active);
    const ids = [...new Set(active.flatMap((segment) => [...segment.members]))].sort();
    const wanted = new Map<string, Wanted>();
    let badAddresses = 0;
    for (const profile of ids) {
      const attributes = this.profiles.get(profile) ?? {};
      const email = (attributes.email ?? '').trim();
      const key = email.toLowerCase();
      if (!email.includes('@')) badAddresses += 1;
      else if (!wanted.has(key)) wanted.set(key, { profile, email, values: mapped(attributes, mapping) });
    }
    return { wanted, badAddresses, members: ids.length, skipped: ids.length - wanted.size };
  }

  private fateOf(
    definition: ModelExport,
    key: string,
    entry: Entry,
    person: Wanted | undefined,
    force: boolean,
  ): Fate | 'UNCHANGED' | 'REFUSED' | 'NONE' {
    const elsewhere = this.elsewhere(definition, key);
    if (person === undefined) {
      const isKept = elsewhere.keeps || (definition.keepsLeavers && entry.onList === 'YES');
      const isToGo = (!definition.keepsLeavers && entry.onList !== 'NO') || elsewhere.leftBehind;
      if (!knowsWhoLeft(definition) || isKept || !isToGo) return 'NONE';
      return entry.refused === REMOVAL && !force ? 'REFUSED' : 'LEAVER';
    }
    if (entry.refused === textOf(person) && !force) return 'REFUSED';
    const isOurs = entry.left === 'NO' && entry.delivered !== undefined;
    if (entry.removed || (elsewhere.removed && !isOurs)) return 'RETURNING';
    if (entry.delivered === undefined) return 'NEW';
    return entry.isSure && !force && holds(entry.delivered, person.values) ? 'UNCHANGED' : 'CHANGED';
  }

  /** What the other exports to the same list want of an address. */
  private elsewhere(definition: ModelExport, key: string) {
    const others = this.exports.filter((other) => other !== definition);
    const entries = others.flatMap((other) => {
      const entry = other.ledgers.get(definition.list)?.get(key);
      return entry === undefined ? [] : [{ other, entry }];
    });
    const keeps = entries.some(({ other, entry }) => {
      const isThere = other.attached && other.list === definition.list;
      return isThere && (!hasDeparted(entry) || (other.keepsLeavers && entry.onList === 'YES'));
    });
    const leftBehind = entries.some(
      ({ other, entry }) => hasDeparted(entry) && !other.keepsLeavers && entry.onList !== 'NO',
    );
    return { keeps, leftBehind, removed: entries.some(({ entry }) => entry.removed) };
  }

  /** Looks up who must be looked up, and sends the others. */
  private deliver(list: number, key: string, entry: Entry, fate: Fate): Result | 'OPTED_OUT' {
    const { destination } = this;
    if (fate === 'LEAVER') {
      const result = destination.remove(key, list);
      if (result === 'FAILED') {
        entry.isSure = false;
        if (entry.removed && entry.onList === 'NO') entry.onList = 'MAYBE';
      }
      if (result !== 'DONE') return result;
      Object.assign(entry, { onList: 'NO', removed: true, isSure: true });
      // Whoever put it there, and did not have it kept, cannot rely on it any more.
      for (const other of this.exports) {
        const theirs = other.ledgers.get(list)?.get(key);
        if (theirs?.onList === 'YES')
          Object.assign(theirs, { onList: theirs.isSure ? 'NO' : 'MAYBE', removed: true });
      }
      return result;
    }
    if (fate !== 'CHANGED' && this.hasOptedOutBefore(list, key, entry.wanted.profile)) return 'OPTED_OUT';
    if (fate === 'RETURNING') {
      const standing = destination.standing(key, list);
      if (standing === 'OPTED_OUT') return 'OPTED_OUT';
      if (standing === 'REMOVED') {
        destination.optIn(key, list);
        entry.onList = 'MAYBE';
      }
    }
    const isEmpty = (field: Field) => (entry.wanted.values[field] ?? '') === '';
    const sendable = FIELDS.filter((field) => !isEmpty(field) || entry.filled.has(field));
    const values = pick(entry.wanted.values, sendable);
    const result = destination.put(key, list, values);
    if (result === 'REFUSED_AT_ONCE') return result;
    for (const field of FIELDS) if (!isEmpty(field)) entry.filled.add(field);
    if (result === 'FAILED') {
      entry.isSure = false;
      if (entry.delivered !== undefined && entry.onList === 'NO') entry.onList = 'MAYBE';
    }
    if (result === 'DONE') {
      const delivered = { ...entry.delivered, ...entry.wanted.values };
      Object.assign(entry, { delivered, isSure: true, onList: 'YES', removed: false });
    }
    return result;
  }

  /** Whether another address of the profile has opted out: it does not come in by a new one. */
  private hasOptedOutBefore(list: number, key: string, profile: string): boolean {
    const former = this.addresses.get(list)?.get(profile) ?? new Set();
    return [...former].some(
      (other) => other !== key && this.destination.standing(other, list) === 'OPTED_OUT',
    );
  }

  private remember(list: number, wanted: ReadonlyMap<string, Wanted>): void {
    const byProfile = this.addresses.get(list) ?? new Map<string, Set<string>>();
    this.addresses.set(list, byProfile);
    for (const [key, { profile }] of wanted) {
      byProfile.set(profile, (byProfile.get(profile) ?? new Set()).add(key));
    }
  }
}

const SKIPPED: Expected = {
  state: 'SKIPPED',
  problem: 'NO_ACTIVE_SEGMENT',
  progress: {},
  sent: 0,
};

/** A held run that was cancelled: it looked at nobody. */
export const CANCELED: Expected = {
  state: 'CANCELED',
  problem: 'TOO_MANY_LEAVERS',
  progress: {
    members: null,
    skipped: 0,
    unchanged: 0,
    leavers: 0,
    toSend: 0,
    confirmed: 0,
    rejected: 0,
    unconfirmed: 0,
    notSent: 0,
  },
  sent: 0,
};
