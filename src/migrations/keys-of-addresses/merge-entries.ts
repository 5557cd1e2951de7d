import type { Row } from './sql.js';

/** A row of the ledger, with what a merge looks at. */
export interface Entry extends Row {
  readonly ledgerId: number;
  readonly emailKey: string;
  readonly plannedRun: number | null;
  readonly wanted: string;
  readonly delivered: string | null;
  readonly standing: number;
  readonly gone: boolean | 0 | 1;
  readonly doubt: number | null;
  readonly everSent: number;
  readonly removals: string | null;
  readonly refusedRun: number | null;
  readonly refusal: string | null;
}

const ON_LIST = 1;
const REMOVED = 2;
const DOUBT_FOR_GOOD = 0;
/** In `delivered`: the same as `wanted`. */
const AS_WANTED = '=';

/**
 * One entry out of those that have the same address now. The values are those of one of them: of the one that a run has
 * under way, or else the one whose person opted out, or else the one that is on the list. What protects the person
 * survives, whichever of them had it: the opt-out, a removal (so that the destination is asked before the person is put
 * back), and the doubt, which arises also where two of them say different things of the contact.
 */
export function mergeEntries(entries: readonly Entry[], isUnderWay: (entry: Entry) => boolean): Entry {
  const [base, ...others] = [...entries].sort(
    (a, b) => rank(a, isUnderWay) - rank(b, isUnderWay) || (a.wanted < b.wanted ? -1 : 1),
  );
  if (base === undefined) throw new Error('There is nothing to merge');
  const optedOut = entries.find(isOptOut) ?? base;
  const { refusal, refusedRun } = optedOut;
  return {
    ...base,
    standing: standingOf(entries),
    gone: entries.every(({ gone }) => Boolean(gone))
      ? base.gone
      : (entries.find(({ gone }) => !gone) ?? base).gone,
    doubt: isDoubtful(entries) ? DOUBT_FOR_GOOD : base.doubt,
    delivered: base.delivered ?? others.map(deliveredTo).find((held) => held !== null) ?? null,
    everSent: entries.reduce((bits, { everSent }) => bits | everSent, 0),
    removals: removalsOf(entries),
    refusal,
    refusedRun,
  };
}

function rank(entry: Entry, isUnderWay: (entry: Entry) => boolean): number {
  if (isUnderWay(entry)) return 0;
  if (isOptOut(entry)) return 1;
  if (entry.standing === ON_LIST) return entry.gone ? 3 : 2;
  if (entry.standing === REMOVED) return 4;
  return entry.gone ? 6 : 5;
}

function isOptOut({ refusal }: Entry): boolean {
  return refusal !== null && (JSON.parse(refusal) as { reason: string }).reason === 'OPTED_OUT';
}

function standingOf(entries: readonly Entry[]): number {
  return Math.max(...entries.map(({ standing }) => standing));
}

function isDoubtful(entries: readonly Entry[]): boolean {
  const onList = entries.filter(({ standing }) => standing === ON_LIST);
  const isRemoved = entries.some(({ standing }) => standing === REMOVED);
  return (
    entries.some(({ doubt }) => doubt !== null) ||
    (onList.length > 0 && isRemoved) ||
    new Set(onList.map((entry) => valuesOf(deliveredTo(entry)))).size > 1
  );
}

function deliveredTo({ delivered, wanted }: Entry): string | null {
  return delivered === AS_WANTED ? wanted : delivered;
}

/** Without the address, which is the same. */
function valuesOf(contact: string | null): string {
  return contact === null ? '' : JSON.stringify((JSON.parse(contact) as unknown[]).slice(1));
}

function removalsOf(entries: readonly Entry[]): string | null {
  const windows = entries.flatMap(({ removals }) =>
    removals === null ? [] : (JSON.parse(removals) as [number, number][]),
  );
  const different = new Map(windows.map((window) => [JSON.stringify(window), window]));
  const inOrder = [...different.values()].sort(([a], [b]) => a - b);
  return inOrder.length === 0 ? null : JSON.stringify(inOrder);
}
