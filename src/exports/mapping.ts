import type { Contact } from '../destinations/destination.js';
import type { Mapping } from '../entities/export.js';
import type { Attributes } from '../entities/profile.js';
import { LedgerTask } from '../entities/ledger.js';
import { RejectionReason } from '../entities/rejection.js';
import { emailKeyOf, withAsciiDomain } from '../email-address.js';
import { trimAscii } from '../names.js';
import { emptyIfInvisible } from '../visible.js';

/**
 * What a run wants a contact to be: e-mail (its domain in ASCII), first name, last name, phone. Null: not mapped, so not ours to touch.
 * Empty: the profile has no value, or none that can be seen. The ledger keeps it as JSON.
 */
export type WantedContact = readonly [
  email: string,
  firstName: string | null,
  lastName: string | null,
  phone: string | null,
];

/** A member with a usable address, on its way into the ledger. */
export interface WantedMember {
  readonly emailKey: string;
  readonly profileId: string;
  /** A WantedContact as JSON: two that want the same are the same text. */
  readonly wanted: string;
  /** Which optional fields it fills, as bits of `LedgerEntry.everSent`. */
  readonly filled: number;
}

export type Mapped =
  | { readonly emailKey: string; readonly wanted: WantedContact }
  | { readonly reason: RejectionReason; readonly email: string | null; readonly detail: string };

/** The bits of `LedgerEntry.everSent`, in the order of the fields after the e-mail address. */
const OPTIONAL_FIELDS = [
  { name: 'firstName', bit: 1 },
  { name: 'lastName', bit: 2 },
  { name: 'phone', bit: 4 },
] as const;

/** Makes a contact of a profile, or says why it cannot be one. */
export function mapProfile(
  attributes: Attributes,
  mapping: Mapping,
  emailProblem: (email: string) => string | undefined,
): Mapped {
  const email = emptyIfInvisible(attributes[mapping.email] ?? '').trim();
  if (email === '') {
    return {
      reason: RejectionReason.MISSING_EMAIL,
      email: null,
      detail: `The attribute ${mapping.email} is empty.`,
    };
  }
  const problem = emailProblem(email);
  if (problem !== undefined) return { reason: RejectionReason.INVALID_EMAIL, email, detail: problem };

  const valueOf = (attribute: string | null | undefined) =>
    attribute === null || attribute === undefined
      ? null
      : trimAscii(emptyIfInvisible(attributes[attribute] ?? ''));
  return {
    emailKey: emailKeyOf(email),
    // Sent as it is compared: the destination refuses a domain in another script.
    wanted: [
      withAsciiDomain(email) ?? email,
      valueOf(mapping.firstName),
      valueOf(mapping.lastName),
      valueOf(mapping.phone),
    ],
  };
}

/** What decides how a contact is sent. */
export interface Sendable {
  readonly task: LedgerTask;
  readonly wanted: WantedContact;
  /** As bits of `LedgerEntry.everSent`. */
  readonly everSent: number;
}

/**
 * The contact as it is sent: values that are empty are left out, unless the field was ever sent non-empty: then it goes
 * empty, so that the destination clears it. The first delivery thus never wipes what somebody else entered there.
 */
export function contactOf({ task, wanted, everSent }: Sendable): Contact {
  const [email] = wanted;
  if (task === LedgerTask.REMOVE) return { email, unsubscribe: true };
  const contact: { -readonly [Field in keyof Contact]: Contact[Field] } = { email };
  OPTIONAL_FIELDS.forEach(({ name, bit }, index) => {
    const value = wanted[index + 1];
    if (value === null || value === undefined) return;
    if (value !== '' || (everSent & bit) !== 0) contact[name] = value;
  });
  return contact;
}

/** Which optional fields a wanted contact fills, as bits of `LedgerEntry.everSent`. */
export function filledFields(wanted: WantedContact): number {
  return OPTIONAL_FIELDS.reduce((mask, { bit }, index) => (wanted[index + 1] ? mask | bit : mask), 0);
}
