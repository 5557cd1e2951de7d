import { DOUBT_FOR_GOOD, LedgerTask, Standing } from '../entities/ledger.js';
import type { WantedContact, WantedMember } from './mapping.js';
import { stillStands, type Refusal } from './refusals.js';

/** An entry of the ledger as the last run left it. */
export interface KnownEntry {
  readonly emailKey: string;
  readonly profileId: string;
  readonly wanted: string;
  /** As in WantedMember. */
  readonly filled: number;
  readonly delivered: string | null;
  readonly task: LedgerTask;
  readonly standing: Standing;
  readonly gone: boolean;
  readonly departedRun: number | null;
  /** That the person is gone counts for other exports: see departures.ts. */
  readonly departed: boolean;
  readonly doubt: number | null;
  readonly refusal: Refusal | null;
}

/** What the other exports to the same list say of an address. */
export interface Elsewhere {
  /** An attached one wants it, or delivered it and keeps its leavers. */
  readonly keeps: boolean;
  /** One has taken it off the list, or is about to. */
  readonly removed: boolean;
  /** One that takes leavers off has let go of it, and it may still be on the list by that one: nobody took it off. */
  readonly leftBehind: boolean;
}

/**
 * What becomes of people who have left: they are taken off the list, or stay on it. UNKNOWN: a segment is inactive, whose
 * members would seem to have left.
 */
export type LeaverRule = 'REMOVE' | 'KEEP' | 'UNKNOWN';

export interface Rules {
  /** Sends also what is at the destination as wanted, and does not wait after refusals. */
  readonly force: boolean;
  readonly leavers: LeaverRule;
  /** The number of the run; null: nothing is written. */
  readonly run: number | null;
  /** In ms since 1970. */
  readonly now: number;
}

/**
 * What a run makes of one address:
 *
 * NEW         a member who was never delivered
 * CHANGED     a member whose contact is not (surely) as wanted
 * RETURNING   a member who was taken off the list by us: the destination is asked first
 * UNCHANGED   a member who is at the destination as wanted
 * LEAVER      no member, delivered by us or by an export that has let go as well, and to be taken off the list
 * REFUSED     to be sent, but the destination refused just that not long ago
 * NONE        no member, and nothing is to be done
 */
export type Fate = 'NEW' | 'CHANGED' | 'RETURNING' | 'UNCHANGED' | 'LEAVER' | 'REFUSED' | 'NONE';

/** How the ledger is to show the address from now on. */
export interface NextEntry {
  readonly emailKey: string;
  readonly profileId: string;
  readonly wanted: string;
  readonly filled: number;
  /** Whether the run has to decide it. */
  readonly planned: boolean;
  readonly task: LedgerTask;
  readonly gone: boolean;
  readonly departedRun: number | null;
  readonly doubt: number | null;
  readonly refusal: Refusal | null;
}

export interface Difference {
  readonly fate: Fate;
  /** The refusal that stands, for REFUSED. */
  readonly refusal?: Refusal;
  /** Undefined: as it is. */
  readonly next?: NextEntry;
}

/** Of an entry that a member has. */
const PRESENT = { gone: false, departedRun: null } as const;

const NOWHERE: Elsewhere = { keeps: false, removed: false, leftBehind: false };

/** The difference between a member and what the ledger knows of the address, which may be nothing. */
export function differenceOf(
  member: WantedMember,
  known: KnownEntry | undefined,
  elsewhere: Elsewhere = NOWHERE,
  rules: Rules,
): Difference {
  if (known === undefined) return planned(member, undefined, elsewhere.removed ? 'RETURNING' : 'NEW');
  const isSame = known.wanted === member.wanted;
  if (isSame && known.task !== LedgerTask.REMOVE && refuses(known, rules)) {
    return { fate: 'REFUSED', refusal: known.refusal, ...rewritten(member, known, { keepsRefusal: true }) };
  }
  const isOff = known.standing === Standing.REMOVED;
  const isNotWatched = known.gone || known.standing === Standing.NEVER_DELIVERED;
  if (isOff || (isNotWatched && elsewhere.removed)) return planned(member, known, 'RETURNING');
  if (known.standing === Standing.NEVER_DELIVERED) return planned(member, known, 'NEW');
  if (!rules.force && known.doubt === null && isDelivered(member.wanted, known.delivered)) {
    return { fate: 'UNCHANGED', ...rewritten(member, known) };
  }
  return planned(member, known, 'CHANGED');
}

/**
 * What becomes of an address in the ledger that no member has. Whoever lets go of it last takes it off the list, also where
 * only other exports had delivered it, which let go before and left it because of this one.
 */
export function differenceOfGone(
  known: KnownEntry,
  elsewhere: Elsewhere = NOWHERE,
  rules: Rules,
): Difference {
  if (rules.leavers === 'UNKNOWN') return { fate: 'NONE' };
  const isOnList = known.standing === Standing.ON_LIST;
  // What is in doubt may be on the list.
  const mayBeOnList = isOnList || known.doubt !== null;
  const isKept = elsewhere.keeps || (rules.leavers === 'KEEP' && isOnList);
  const isToGo = (rules.leavers === 'REMOVE' && mayBeOnList) || elsewhere.leftBehind;
  const left = { ...known, gone: true, departedRun: departedRunOf(known, rules) };
  const isNoted = known.gone && known.departedRun === left.departedRun;
  const noted = isNoted ? {} : { next: { ...left, planned: false } };
  if (isKept || !isToGo) return { fate: 'NONE', ...noted };
  if (known.task === LedgerTask.REMOVE && refuses(known, rules)) {
    return { fate: 'REFUSED', refusal: known.refusal, ...noted };
  }
  return { fate: 'LEAVER', next: { ...left, planned: true, task: LedgerTask.REMOVE, refusal: null } };
}

/** The run that lets go of the person: an earlier one whose departures are final, or this one, unless it keeps the contact. */
function departedRunOf(known: KnownEntry, rules: Rules): number | null {
  if (known.departed) return known.departedRun;
  return rules.leavers === 'KEEP' && known.standing === Standing.ON_LIST ? null : rules.run;
}

function planned(
  member: WantedMember,
  known: KnownEntry | undefined,
  fate: 'NEW' | 'CHANGED' | 'RETURNING',
): Difference {
  const task = fate === 'RETURNING' ? LedgerTask.CHECK : LedgerTask.PUT;
  const doubt = doubtAbout(member, known);
  return { fate, next: { ...member, planned: true, task, ...PRESENT, doubt, refusal: null } };
}

/** Nothing is sent; the entry is written only if it reads differently now. */
function rewritten(
  member: WantedMember,
  known: KnownEntry,
  { keepsRefusal = false } = {},
): { next?: NextEntry } {
  const refusal = keepsRefusal ? known.refusal : null;
  const reads =
    known.wanted === member.wanted &&
    known.profileId === member.profileId &&
    !known.gone &&
    known.refusal === refusal;
  if (reads) return {};
  const { task } = known;
  return {
    next: { ...member, planned: false, task, ...PRESENT, doubt: doubtAbout(member, known), refusal },
  };
}

/** The batch that could still tell what became of an entry sent the old values: it cannot vouch for the new ones. */
function doubtAbout(member: WantedMember, known: KnownEntry | undefined): number | null {
  if (known === undefined || known.doubt === null) return null;
  return known.wanted === member.wanted ? known.doubt : DOUBT_FOR_GOOD;
}

function refuses(known: KnownEntry, rules: Rules): known is KnownEntry & { refusal: Refusal } {
  return known.refusal !== null && !rules.force && stillStands(known.refusal, rules.now);
}

/**
 * Whether the destination holds what is wanted. A field that is not mapped is not asked for; an address that differs by
 * case alone is the same.
 */
function isDelivered(wanted: string, delivered: string | null): boolean {
  if (wanted === delivered) return true;
  if (delivered === null) return false;
  const [, ...fields] = JSON.parse(wanted) as WantedContact;
  const [, ...held] = JSON.parse(delivered) as WantedContact;
  return fields.every((value, index) => value === null || value === (held[index] ?? ''));
}
