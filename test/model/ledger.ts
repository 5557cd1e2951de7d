import { FIELDS, type Field, type Result, type Values } from './destination.js';

/* What an export knows of the addresses on a list, and the plain rules about one of them. */

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
  /** In percent: a run that would take off more of those delivered is held; one that takes all is held always. */
  holdPercent: number;
  attached: boolean;
  mapping: ModelMapping;
  /** By list, by e-mail key. */
  readonly ledgers: Map<number, Map<string, Entry>>;
}

/** What a profile wants its contact to be. */
export interface Wanted {
  readonly profile: string;
  readonly email: string;
  readonly values: Values;
}

/** What an export knows of an address on a list. */
export interface Entry {
  /** What the last run wanted of it that wanted it at all. */
  wanted: Wanted;
  /**
   * Whether a run found no member there. KEPT: under KEEP, while it was on the list. FOUND: by a run that has not passed its
   * hold. DEPARTED: by one that has, so that the export has let go of it.
   */
  left: 'NO' | 'KEPT' | 'FOUND' | 'DEPARTED';
  /** What was last confirmed; undefined: it was never delivered. */
  delivered: Values | undefined;
  /** Whether the destination surely holds `delivered`. */
  isSure: boolean;
  /** NO: it was never there by us, or we took it off (`removed`). */
  onList: 'NO' | 'MAYBE' | 'YES';
  removed: boolean;
  /** The last that was planned for it was to take it off. */
  isLeaving: boolean;
  /** What became of it, and when, as nobody knows before the next run asks. */
  late: { readonly result: Result; readonly at: number } | undefined;
  /** Fields that were ever sent non-empty. */
  readonly filled: Set<Field>;
  /** A refusal that stands: of what, as text. */
  refused: string | undefined;
  /** The refusal is an opt-out, which says nothing of the room in the account. */
  isOptOut: boolean;
  /** It was refused, and not taken since: no newcomer, by whom a full account is recognised. */
  wasRefused: boolean;
}

/** The refusal of an unsubscribe, as against those of wanted values. */
export const REMOVAL = 'removal';

export const refusalOf = ({ wanted }: Entry, isRemoval: boolean) => (isRemoval ? REMOVAL : textOf(wanted));

export const textOf = ({ email, values }: Wanted) =>
  JSON.stringify([email, ...FIELDS.map((field) => values[field] ?? null)]);

/** Whether the destination holds these values; one that was never sent counts as empty. */
export const holds = (delivered: Values, values: Values) =>
  FIELDS.every((field) => values[field] === undefined || values[field] === (delivered[field] ?? ''));

export const pick = (values: Values, fields: readonly Field[]): Values =>
  Object.fromEntries(
    fields.flatMap((field) => (values[field] === undefined ? [] : [[field, values[field]]])),
  );

export const mapped = (attributes: Attributes, mapping: ModelMapping): Values =>
  Object.fromEntries(
    FIELDS.flatMap((field) => {
      const attribute = mapping[field];
      return attribute === undefined ? [] : [[field, (attributes[attribute] ?? '').trim()]];
    }),
  );

export function ledgerOf({ ledgers, list }: ModelExport): Map<string, Entry> {
  const ledger = ledgers.get(list) ?? new Map<string, Entry>();
  ledgers.set(list, ledger);
  return ledger;
}

/** The members of an inactive segment have not left, and nobody can tell them from those who have. */
export const knowsWhoLeft = ({ segments }: ModelExport) => segments.every(({ active }) => active);

/** Whether other exports may take it off the list. Who was kept under KEEP is let go of by a later run alone. */
export const hasDeparted = ({ left, onList }: Entry) =>
  left === 'DEPARTED' || (left === 'KEPT' && onList === 'NO');

export function noteMember(definition: ModelExport, entry: Entry, person: Wanted | undefined): void {
  if (person !== undefined) Object.assign(entry, { wanted: person, left: 'NO' });
  else if (knowsWhoLeft(definition) && !hasDeparted(entry))
    entry.left = definition.keepsLeavers && entry.onList === 'YES' ? 'KEPT' : 'FOUND';
}

/** The run has passed its hold: whom it found gone has left. Where nobody knows who left, nothing becomes certain. */
export function passHold(definition: ModelExport): void {
  if (!knowsWhoLeft(definition)) return;
  for (const entry of ledgerOf(definition).values()) if (entry.left === 'FOUND') entry.left = 'DEPARTED';
}

export function newEntry(wanted: Wanted | undefined): Entry {
  if (wanted === undefined) throw new Error('Nobody wants it, and nobody knows it.');
  return {
    wanted,
    left: 'NO',
    delivered: undefined,
    isSure: true,
    onList: 'NO',
    removed: false,
    isLeaving: false,
    late: undefined,
    filled: new Set(),
    refused: undefined,
    isOptOut: false,
    wasRefused: false,
  };
}
