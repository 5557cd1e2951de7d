import { Delivery, NO_TROUBLE, type Fate, type Planned, type Trouble } from './delivery.js';
import type { ModelDestination } from './destination.js';
import {
  hasDeparted,
  holds,
  knowsWhoLeft,
  ledgerOf,
  mapped,
  newEntry,
  noteMember,
  passHold,
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
  /** Whether the destination is asked about somebody before that person is sent. */
  readonly looksUp: boolean;
  /** Passes the hold, and sends everything. */
  readonly deliver: (trouble?: Trouble) => Expected;
}

export class Model {
  readonly profiles = new Map<string, Attributes>();
  private readonly delivery: Delivery;

  constructor(
    destination: ModelDestination,
    readonly exports: readonly ModelExport[],
  ) {
    this.delivery = new Delivery(destination, exports);
  }

  /** @param approved how many leavers somebody has approved for this run. */
  prepare(definition: ModelExport, { force = false, approved = 0 } = {}): Prepared {
    this.delivery.learn(definition);
    if (!definition.segments.some(({ active }) => active)) return SKIPPING;
    const { wanted, members, skipped, badAddresses } = this.membersOf(definition);
    const ledger = ledgerOf(definition);
    const counted = { unchanged: 0, leavers: 0, toSend: 0, rejected: 0 };
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
      if (fate === 'REFUSED') {
        counted.rejected += 1;
        continue;
      }
      entry.isLeaving = fate === 'LEAVER';
      planned.push({ key, entry, fate });
    }
    const { list } = definition;
    for (const [key, { profile }] of wanted) this.delivery.rememberAddress(list, profile, key);
    const { leavers } = counted;
    const isMuch = leavers * 100 > deliveredBefore * definition.holdPercent || leavers >= deliveredBefore;
    const deliver = (trouble = NO_TROUBLE): Expected => {
      passHold(definition);
      const { sent, isFull, ...outcome } = this.delivery.deliverAll(definition, planned, trouble);
      const rejected = counted.rejected + outcome.rejected;
      const isWarned = rejected + outcome.unconfirmed + badAddresses > 0 || isFull;
      const problem = trouble.isCutOff && planned.length > 0 ? 'WRONG_KEY' : null;
      return {
        state: isWarned ? 'SUCCEEDED_WITH_WARNINGS' : 'SUCCEEDED',
        problem: isFull ? 'ACCOUNT_FULL' : problem,
        progress: { members, skipped, ...counted, ...outcome, rejected, notSent: 0 },
        sent,
      };
    };
    return {
      isHeld: leavers > approved && isMuch,
      leavers,
      failsNewcomers: planned.some((one) => this.delivery.failsNewcomer(list, one)),
      looksUp: planned.some((one) => this.delivery.looksUp(list, one)),
      deliver,
    };
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
}

const SKIPPED: Expected = {
  state: 'SKIPPED',
  problem: 'NO_ACTIVE_SEGMENT',
  progress: {},
  sent: 0,
};

const SKIPPING: Prepared = {
  isHeld: false,
  leavers: 0,
  failsNewcomers: false,
  looksUp: false,
  deliver: () => SKIPPED,
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
