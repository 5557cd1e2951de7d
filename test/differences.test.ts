import { DOUBT_FOR_GOOD, LedgerTask, Standing } from '../src/entities/ledger.js';
import { RejectionReason } from '../src/entities/rejection.js';
import {
  differenceOf,
  differenceOfGone,
  type Elsewhere,
  type KnownEntry,
  type Rules,
} from '../src/exports/differences.js';
import { filledFields, type WantedContact, type WantedMember } from '../src/exports/mapping.js';
import type { Refusal } from '../src/exports/refusals.js';

const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 5, 1);
const RUN = 9;
const RULES: Rules = { force: false, leavers: 'REMOVE', run: RUN, now: NOW };
const FORCE: Rules = { ...RULES, force: true };
const NOWHERE: Elsewhere = { keeps: false, removed: false, leftBehind: false };
const KEPT: Elsewhere = { ...NOWHERE, keeps: true };
const REMOVED: Elsewhere = { ...NOWHERE, removed: true };
const LEFT_BEHIND: Elsewhere = { ...NOWHERE, leftBehind: true };

const ANN: WantedContact = ['ann@x.com', 'Ann', 'Archer', '555'];

const text = (contact: WantedContact) => JSON.stringify(contact);

const member = (contact: WantedContact = ANN, profileId = '1'): WantedMember => ({
  emailKey: contact[0].toLowerCase(),
  profileId,
  wanted: text(contact),
  filled: filledFields(contact),
});

/** Ann, as a run left her that delivered her. */
const known = (changes: Partial<KnownEntry> = {}): KnownEntry => ({
  emailKey: 'ann@x.com',
  profileId: '1',
  wanted: text(ANN),
  filled: filledFields(ANN),
  delivered: text(ANN),
  task: LedgerTask.PUT,
  standing: Standing.ON_LIST,
  gone: false,
  departedRun: null,
  departed: false,
  doubt: null,
  refusal: null,
  ...changes,
});

const NEVER_DELIVERED = { delivered: null, standing: Standing.NEVER_DELIVERED } as const;

/** As a run noted that took the person off, or was to. */
const GONE = { gone: true, departedRun: 4, departed: true } as const;

const refused = (at = NOW - DAY_MS): Refusal => ({
  reason: RejectionReason.REFUSED_BY_DESTINATION,
  detail: 'We do not like it.',
  at,
});

const fateOf = (
  person: WantedMember,
  entry: KnownEntry | undefined,
  { elsewhere = NOWHERE, rules = RULES } = {},
) => differenceOf(person, entry, elsewhere, rules).fate;

const fateOfGone = (entry: KnownEntry, { elsewhere = NOWHERE, rules = RULES } = {}) =>
  differenceOfGone(entry, elsewhere, rules).fate;

describe('a member', () => {
  it('whom the ledger does not know is new', () => {
    expect(differenceOf(member(), undefined, NOWHERE, RULES)).toEqual({
      fate: 'NEW',
      next: {
        ...member(),
        planned: true,
        task: LedgerTask.PUT,
        gone: false,
        departedRun: null,
        doubt: null,
        refusal: null,
      },
    });
  });

  it('who was wanted before and never arrived is new still', () => {
    expect(fateOf(member(), known(NEVER_DELIVERED))).toBe('NEW');
  });

  it('who is at the destination as wanted is unchanged, and nothing is written', () => {
    expect(differenceOf(member(), known(), NOWHERE, RULES)).toEqual({ fate: 'UNCHANGED' });
  });

  it('is unchanged when the address differs by case alone', () => {
    const { fate, next } = differenceOf(
      member(['Ann@X.com', 'Ann', 'Archer', '555']),
      known(),
      NOWHERE,
      RULES,
    );
    expect(fate).toBe('UNCHANGED');
    expect(next).toMatchObject({ planned: false, wanted: text(['Ann@X.com', 'Ann', 'Archer', '555']) });
  });

  it.each<[string, WantedContact]>([
    ['another value', ['ann@x.com', 'Anna', 'Archer', '555']],
    ['a value that is empty now', ['ann@x.com', 'Ann', 'Archer', '']],
  ])('with %s is changed', (_what, contact) => {
    const { fate, next } = differenceOf(member(contact), known(), NOWHERE, RULES);
    expect(fate).toBe('CHANGED');
    expect(next).toMatchObject({ planned: true, task: LedgerTask.PUT, wanted: text(contact) });
  });

  it('with a field that is not mapped any more is unchanged', () => {
    expect(fateOf(member(['ann@x.com', 'Ann', null, '555']), known())).toBe('UNCHANGED');
  });

  it('with a field that is newly mapped is changed only if there is a value', () => {
    const before = known({ delivered: text(['ann@x.com', 'Ann', 'Archer', null]) });
    expect(fateOf(member(), before)).toBe('CHANGED');
    expect(fateOf(member(['ann@x.com', 'Ann', 'Archer', '']), before)).toBe('UNCHANGED');
  });

  it('who takes the place of a twin with the same values is unchanged, and noted', () => {
    const { fate, next } = differenceOf(member(ANN, '2'), known(), NOWHERE, RULES);
    expect(fate).toBe('UNCHANGED');
    expect(next).toMatchObject({ planned: false, profileId: '2' });
  });

  it('who came back before anybody took the contact off the list is unchanged, and no longer gone', () => {
    const before = known({ gone: true, departedRun: 4, departed: true });
    const { fate, next } = differenceOf(member(), before, NOWHERE, RULES);
    expect(fate).toBe('UNCHANGED');
    expect(next).toMatchObject({ planned: false, gone: false, departedRun: null });
  });

  it('is sent again by force', () => {
    expect(fateOf(member(), known(), { rules: FORCE })).toBe('CHANGED');
  });

  it('is sent again as long as nobody knows what became of the last time', () => {
    expect(fateOf(member(), known({ doubt: 7 }))).toBe('CHANGED');
    expect(fateOf(member(), known({ doubt: DOUBT_FOR_GOOD }))).toBe('CHANGED');
  });

  it('keeps the batch that may still tell, unless it sent other values', () => {
    const entry = known({ doubt: 7 });
    expect(differenceOf(member(), entry, NOWHERE, RULES).next?.doubt).toBe(7);
    const other = member(['ann@x.com', 'Anna', 'Archer', '555']);
    expect(differenceOf(other, entry, NOWHERE, RULES).next?.doubt).toBe(DOUBT_FOR_GOOD);
  });
});

describe('a member who was taken off the list', () => {
  const off = known({ standing: Standing.REMOVED, task: LedgerTask.REMOVE, gone: true });

  it('is returning: the destination is asked first, also by force', () => {
    for (const rules of [RULES, FORCE]) {
      const { fate, next } = differenceOf(member(), off, NOWHERE, rules);
      expect(fate).toBe('RETURNING');
      expect(next).toMatchObject({ planned: true, task: LedgerTask.CHECK, gone: false });
    }
  });

  it('by another export is returning, if this one did not want the address meanwhile', () => {
    expect(fateOf(member(), undefined, { elsewhere: REMOVED })).toBe('RETURNING');
    expect(fateOf(member(), known(NEVER_DELIVERED), { elsewhere: REMOVED })).toBe('RETURNING');
    expect(fateOf(member(), known({ gone: true }), { elsewhere: REMOVED })).toBe('RETURNING');
  });

  it('by another export before this one delivered the contact again is unchanged', () => {
    expect(fateOf(member(), known(), { elsewhere: REMOVED })).toBe('UNCHANGED');
  });
});

describe('a refusal', () => {
  const entry = known({ ...NEVER_DELIVERED, refusal: refused() });

  it('stands: the same contact is not tried again', () => {
    expect(differenceOf(member(), entry, NOWHERE, RULES)).toEqual({ fate: 'REFUSED', refusal: refused() });
  });

  it('stands for somebody who has been away meanwhile, too', () => {
    const { fate, next } = differenceOf(member(), { ...entry, gone: true }, NOWHERE, RULES);
    expect(fate).toBe('REFUSED');
    expect(next).toMatchObject({ planned: false, gone: false, refusal: refused() });
  });

  it('ends when the data changes', () => {
    const { fate, next } = differenceOf(member(['ann@x.com', 'Anna', '', '']), entry, NOWHERE, RULES);
    expect(fate).toBe('NEW');
    expect(next).toMatchObject({ planned: true, refusal: null });
  });

  it('ends after 30 days', () => {
    const since = (ms: number) => known({ ...NEVER_DELIVERED, refusal: refused(NOW - ms) });
    expect(fateOf(member(), since(30 * DAY_MS - 1))).toBe('REFUSED');
    expect(fateOf(member(), since(30 * DAY_MS))).toBe('NEW');
  });

  it('does not hinder force', () => {
    expect(fateOf(member(), entry, { rules: FORCE })).toBe('NEW');
  });

  it('of new values is forgotten when the old ones are wanted again, which are there', () => {
    const before = known({ wanted: text(['ann@x.com', 'Anna', '', '']), refusal: refused() });
    const { fate, next } = differenceOf(member(), before, NOWHERE, RULES);
    expect(fate).toBe('UNCHANGED');
    expect(next).toMatchObject({ planned: false, refusal: null });
  });

  it('to take somebody off the list says nothing of the contact who is a member again', () => {
    const before = known({ task: LedgerTask.REMOVE, gone: true, refusal: refused() });
    expect(fateOf(member(), before)).toBe('UNCHANGED');
  });

  it('to take somebody off the list stands for the next runs, and not against force', () => {
    const before = known({ task: LedgerTask.REMOVE, ...GONE, refusal: refused() });
    expect(differenceOfGone(before, NOWHERE, RULES)).toEqual({ fate: 'REFUSED', refusal: refused() });
    expect(fateOfGone(before, { rules: FORCE })).toBe('LEAVER');
    expect(fateOfGone({ ...before, refusal: refused(NOW - 30 * DAY_MS) })).toBe('LEAVER');
  });

  it('of values does not keep the contact on the list', () => {
    expect(fateOfGone(known({ refusal: refused() }))).toBe('LEAVER');
  });
});

describe('somebody who is no member any more', () => {
  const KEEP: Rules = { ...RULES, leavers: 'KEEP' };
  const UNKNOWN: Rules = { ...RULES, leavers: 'UNKNOWN' };

  it('is a leaver if we delivered the contact', () => {
    expect(differenceOfGone(known(), NOWHERE, RULES)).toEqual({
      fate: 'LEAVER',
      next: {
        ...known(),
        planned: true,
        task: LedgerTask.REMOVE,
        gone: true,
        departedRun: RUN,
        refusal: null,
      },
    });
  });

  it('is a leaver also in a later run than the first that misses the person', () => {
    expect(fateOfGone(known({ gone: true }))).toBe('LEAVER');
  });

  it('is a leaver if the contact may have arrived without our knowing', () => {
    expect(fateOfGone(known({ ...NEVER_DELIVERED, doubt: 7 }))).toBe('LEAVER');
  });

  it('costs nothing if the contact never arrived, or is off the list already', () => {
    expect(fateOfGone(known(NEVER_DELIVERED))).toBe('NONE');
    expect(fateOfGone(known({ standing: Standing.REMOVED, gone: true }))).toBe('NONE');
  });

  it('stays where leavers are kept, and is noted once as gone, without a run', () => {
    const { fate, next } = differenceOfGone(known(), NOWHERE, KEEP);
    expect(fate).toBe('NONE');
    expect(next).toEqual({ ...known(), planned: false, gone: true });
    expect(differenceOfGone(known({ gone: true }), NOWHERE, KEEP)).toEqual({ fate: 'NONE' });
    // What a cancelled run noted under another policy is not to count later.
    expect(differenceOfGone(known({ gone: true, departedRun: 4 }), NOWHERE, KEEP).next).toMatchObject({
      departedRun: null,
    });
  });

  it('is as before where a segment is inactive: nobody knows who left', () => {
    expect(differenceOfGone(known(), NOWHERE, UNKNOWN)).toEqual({ fate: 'NONE' });
    expect(differenceOfGone(known(NEVER_DELIVERED), LEFT_BEHIND, UNKNOWN)).toEqual({ fate: 'NONE' });
    expect(differenceOfGone(known({ gone: true, departedRun: 4 }), NOWHERE, UNKNOWN)).toEqual({
      fate: 'NONE',
    });
  });

  it('is noted with the run that finds it, over a run that does not count, and never over one that does', () => {
    const gone = known({ ...NEVER_DELIVERED, gone: true });
    const runOf = (entry: KnownEntry, elsewhere = NOWHERE, rules = RULES) =>
      differenceOfGone(entry, elsewhere, rules).next?.departedRun;
    expect(runOf(known(), KEPT)).toBe(RUN);
    expect(runOf(known({ gone: true }), KEPT)).toBe(RUN);
    expect(runOf({ ...gone, departedRun: 4 })).toBe(RUN);
    expect(runOf({ ...gone, departedRun: 4, departed: true })).toBeUndefined();
    expect(runOf({ ...gone, departed: true })).toBeUndefined();
    expect(runOf(known({ gone: true, departedRun: RUN }), KEPT)).toBeUndefined();
    expect(runOf(known({ gone: true, departedRun: 4, departed: true }))).toBe(4);
    // Whom an export under KEEP did not deliver it lets go of, like any other.
    expect(runOf(known(NEVER_DELIVERED), NOWHERE, KEEP)).toBe(RUN);
  });

  it('is a leaver of the last export that lets go, also if only another one delivered the contact', () => {
    expect(fateOfGone(known(NEVER_DELIVERED), { elsewhere: LEFT_BEHIND })).toBe('LEAVER');
    expect(fateOfGone(known(NEVER_DELIVERED), { elsewhere: LEFT_BEHIND, rules: KEEP })).toBe('LEAVER');
    expect(fateOfGone(known(), { elsewhere: LEFT_BEHIND, rules: KEEP })).toBe('NONE');
    expect(fateOfGone(known(NEVER_DELIVERED), { elsewhere: { ...LEFT_BEHIND, keeps: true } })).toBe('NONE');
  });

  it('stays while another export keeps the address', () => {
    expect(fateOfGone(known(), { elsewhere: KEPT })).toBe('NONE');
    expect(fateOfGone(known(), { elsewhere: KEPT, rules: FORCE })).toBe('NONE');
  });
});
