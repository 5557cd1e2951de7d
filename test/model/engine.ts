import { FIELDS, type Field, type ModelDestination, type Result, type Values } from './destination.js';

/*
 * What a run should do, by design §3 alone: for people by the handful, with plain maps, without batches, without a
 * database. It knows nothing of how the engine does it.
 */

export type Attributes = Readonly<Record<string, string>>;

export interface ModelSegment {
  readonly members: Set<string>;
  active: boolean;
}

/** Which attribute fills a field; a field that is missing is not sent. */
export type ModelMapping = Partial<Record<Field, string>>;

export interface ModelExport {
  segments: readonly ModelSegment[];
  list: number;
  keepsLeavers: boolean;
  attached: boolean;
  mapping: ModelMapping;
  /** By list, by e-mail key. */
  readonly ledgers: Map<number, Map<string, Entry>>;
}

/** What a profile wants its contact to be. */
interface Wanted {
  readonly profile: string;
  readonly email: string;
  readonly values: Values;
}

/** What an export knows of an address on a list. */
interface Entry {
  /** What the last run wanted of it that wanted it at all. */
  wanted: Wanted;
  /** KEPT: it was on the list under KEEP when a run found nobody there. DEPARTED: the export has let go of it. */
  left: 'NO' | 'KEPT' | 'DEPARTED';
  /** What was last confirmed; undefined: it was never delivered. */
  delivered: Values | undefined;
  /** Whether the destination surely holds `delivered`. */
  isSure: boolean;
  /** NO: it was never there by us, or we took it off (`removed`). */
  onList: 'NO' | 'MAYBE' | 'YES';
  removed: boolean;
  /** Fields that were ever sent non-empty. */
  readonly filled: Set<Field>;
  /** A refusal that stands: of what, as text. */
  refused: string | undefined;
}

type Fate = 'NEW' | 'CHANGED' | 'RETURNING' | 'LEAVER';

/** What a run should tell, and cost. */
export interface Expected {
  readonly state: 'SUCCEEDED' | 'SUCCEEDED_WITH_WARNINGS' | 'SKIPPED';
  readonly problem: string | null;
  /** Whether somebody has to approve the run first: it would take off everybody whom it delivered. */
  readonly held: boolean;
  readonly progress: Readonly<Record<string, number>>;
  /** Contacts that the importer takes in. */
  readonly sent: number;
}

export class Model {
  readonly profiles = new Map<string, Attributes>();
  /** By list, by profile: every address under which the profile was ever wanted there. */
  private readonly addresses = new Map<number, Map<string, Set<string>>>();

  constructor(
    readonly destination: ModelDestination,
    readonly exports: readonly ModelExport[],
  ) {}

  run(definition: ModelExport, { force = false } = {}): Expected {
    if (!definition.segments.some(({ active }) => active)) return SKIPPED;
    const { wanted, members, skipped, badAddresses } = this.membersOf(definition);
    const ledger = ledgerOf(definition);
    const counted = { unchanged: 0, leavers: 0, toSend: 0, confirmed: 0, rejected: 0 };
    const deliveredBefore = [...ledger.values()].filter(({ onList }) => onList === 'YES').length;
    const refusedNow: Entry[] = [];
    let [newcomers, newcomersRefused, sent] = [0, 0, 0];
    const planned: { key: string; entry: Entry; fate: Fate }[] = [];
    for (const key of new Set([...wanted.keys(), ...ledger.keys()])) {
      const person = wanted.get(key);
      const entry = ledger.get(key) ?? newEntry(person);
      ledger.set(key, entry);
      const fate = this.fateOf(definition, key, entry, person, force);
      noteMember(definition, entry, person);
      if (fate === 'NONE') continue;
      if (fate === 'UNCHANGED') {
        counted.unchanged += 1;
        entry.refused = undefined;
        continue;
      }
      counted.toSend += 1;
      if (person === undefined) counted.leavers += 1;
      if (fate === 'REFUSED') counted.rejected += 1;
      else planned.push({ key, entry, fate });
    }
    for (const { key, entry, fate } of planned) {
      const isNew = fate !== 'LEAVER' && entry.delivered === undefined && !entry.removed;
      if (isNew) newcomers += 1;
      const result = this.deliver(definition, key, entry, fate);
      entry.refused = result === 'DONE' ? undefined : refusalOf(entry, fate);
      if (result === 'DONE' || result === 'FAILED') sent += 1;
      if (result === 'DONE') {
        counted.confirmed += 1;
      } else {
        counted.rejected += 1;
        refusedNow.push(entry);
        if (isNew && result !== 'OPTED_OUT') newcomersRefused += 1;
      }
    }
    // Too many newcomers were refused: it is about the account, not about these people.
    const isFull = newcomersRefused * 2 > newcomers;
    if (isFull) for (const entry of refusedNow) entry.refused = undefined;
    this.remember(definition.list, wanted);
    const { leavers, rejected } = counted;
    return {
      state: rejected + badAddresses > 0 || isFull ? 'SUCCEEDED_WITH_WARNINGS' : 'SUCCEEDED',
      problem: isFull ? 'ACCOUNT_FULL' : null,
      held: leavers > 0 && leavers >= deliveredBefore,
      progress: { members, skipped, ...counted, unconfirmed: 0, notSent: 0 },
      sent,
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

  /** Looks up who must be looked up, and sends the others. */
  private deliver(definition: ModelExport, key: string, entry: Entry, fate: Fate): Result | 'OPTED_OUT' {
    const { destination } = this;
    const { list } = definition;
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
  held: false,
  progress: {},
  sent: 0,
};

/** The refusal of an unsubscribe, as against those of wanted values. */
const REMOVAL = 'removal';

const refusalOf = ({ wanted }: Entry, fate: Fate) => (fate === 'LEAVER' ? REMOVAL : textOf(wanted));

const textOf = ({ email, values }: Wanted) =>
  JSON.stringify([email, ...FIELDS.map((field) => values[field] ?? null)]);

/** Whether the destination holds these values; one that was never sent counts as empty. */
const holds = (delivered: Values, values: Values) =>
  FIELDS.every((field) => values[field] === undefined || values[field] === (delivered[field] ?? ''));

const pick = (values: Values, fields: readonly Field[]): Values =>
  Object.fromEntries(
    fields.flatMap((field) => (values[field] === undefined ? [] : [[field, values[field]]])),
  );

const mapped = (attributes: Attributes, mapping: ModelMapping): Values =>
  Object.fromEntries(
    FIELDS.flatMap((field) => {
      const attribute = mapping[field];
      return attribute === undefined ? [] : [[field, (attributes[attribute] ?? '').trim()]];
    }),
  );

function ledgerOf({ ledgers, list }: ModelExport): Map<string, Entry> {
  const ledger = ledgers.get(list) ?? new Map<string, Entry>();
  ledgers.set(list, ledger);
  return ledger;
}

/** The members of an inactive segment have not left, and nobody can tell them from those who have. */
const knowsWhoLeft = ({ segments }: ModelExport) => segments.every(({ active }) => active);

/** Whether other exports may take it off the list. Who was kept under KEEP is let go of by a later run alone. */
const hasDeparted = ({ left, onList }: Entry) => left === 'DEPARTED' || (left === 'KEPT' && onList === 'NO');

function noteMember(definition: ModelExport, entry: Entry, person: Wanted | undefined): void {
  if (person !== undefined) Object.assign(entry, { wanted: person, left: 'NO' });
  else if (knowsWhoLeft(definition) && !hasDeparted(entry))
    entry.left = definition.keepsLeavers && entry.onList === 'YES' ? 'KEPT' : 'DEPARTED';
}

function newEntry(wanted: Wanted | undefined): Entry {
  if (wanted === undefined) throw new Error('Nobody wants it, and nobody knows it.');
  return {
    wanted,
    left: 'NO',
    delivered: undefined,
    isSure: true,
    onList: 'NO',
    removed: false,
    filled: new Set(),
    refused: undefined,
  };
}
