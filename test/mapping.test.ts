import { LedgerTask } from '../src/entities/ledger.js';
import type { Attributes } from '../src/entities/profile.js';
import { RejectionReason } from '../src/entities/rejection.js';
import { contactOf, filledFields, mapProfile, type WantedContact } from '../src/exports/mapping.js';

const MAPPING = { email: 'mail', firstName: 'first', lastName: 'last', phone: 'phone' };
const anyEmail = () => undefined;

describe('a profile becomes a contact', () => {
  it('with every value trimmed, and the address as it was written', () => {
    const attributes = { mail: '  Ann@Example.COM ', first: '\tAnn ', last: ' van der Berg', phone: ' ' };
    expect(mapProfile(attributes, MAPPING, anyEmail)).toEqual({
      emailKey: 'ann@example.com',
      wanted: ['Ann@Example.COM', 'Ann', 'van der Berg', ''],
    });
  });

  it('with null for what is not mapped, and an empty text for what the profile does not have', () => {
    const mapping = { email: 'mail', firstName: null, phone: 'phone' };
    expect(mapProfile({ mail: 'a@b.cd', first: 'Ann' }, mapping, anyEmail)).toEqual({
      emailKey: 'a@b.cd',
      wanted: ['a@b.cd', null, null, ''],
    });
  });

  it('or a reason why it cannot: no address', () => {
    for (const attributes of [{ other: 'x' }, { mail: '' }, { mail: ' \n ' }] as Attributes[]) {
      expect(mapProfile(attributes, MAPPING, anyEmail)).toEqual({
        reason: RejectionReason.MISSING_EMAIL,
        email: null,
        detail: 'The attribute mail is empty.',
      });
    }
  });

  it('or a reason why it cannot: an address that the destination would refuse', () => {
    const refuse = (email: string) => `No ${email}.`;
    expect(mapProfile({ mail: ' x ' }, MAPPING, refuse)).toEqual({
      reason: RejectionReason.INVALID_EMAIL,
      email: 'x',
      detail: 'No x.',
    });
  });

  it('with the domain of its address in ASCII', () => {
    expect(mapProfile({ mail: ' Ana@BÜCHER.example ' }, { email: 'mail' }, anyEmail)).toMatchObject({
      emailKey: 'ana@xn--bcher-kva.example',
      wanted: ['Ana@xn--bcher-kva.example', null, null, null],
    });
  });
});

describe('a contact is sent', () => {
  const full: WantedContact = ['a@b.cd', 'Ann', 'Lee', '1'];
  const empty: WantedContact = ['a@b.cd', '', '', ''];
  const sent = (wanted: WantedContact, everSent: number) =>
    contactOf({ task: LedgerTask.PUT, wanted, everSent });

  it('without its empty values, unless they were ever filled', () => {
    expect(sent(full, 0)).toEqual({ email: 'a@b.cd', firstName: 'Ann', lastName: 'Lee', phone: '1' });
    expect(sent(empty, 0)).toEqual({ email: 'a@b.cd' });
    expect(sent(empty, 1 | 4)).toEqual({ email: 'a@b.cd', firstName: '', phone: '' });
    expect(sent(empty, filledFields(full))).toEqual({
      email: 'a@b.cd',
      firstName: '',
      lastName: '',
      phone: '',
    });
  });

  it('without what is not mapped, even if it was ever filled', () => {
    expect(sent(['a@b.cd', null, null, null], 7)).toEqual({ email: 'a@b.cd' });
  });

  it('by its address alone when it is to be taken off the list', () => {
    const leaver = { task: LedgerTask.REMOVE, wanted: full, everSent: 7 };
    expect(contactOf(leaver)).toEqual({ email: 'a@b.cd', unsubscribe: true });
  });

  it('with the fields that it fills remembered as bits', () => {
    expect(filledFields(full)).toBe(7);
    expect(filledFields(['a@b.cd', null, 'Lee', ''])).toBe(2);
    expect(filledFields(empty)).toBe(0);
  });
});
