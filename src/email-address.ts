import { domainToASCII } from 'node:url';
import { invisibleIn, nameOf } from './visible.js';

const NON_ASCII = /[^\0-\x7f]/;
/** ASCII that no domain name contains. `domainToASCII` would read some of it as the end of the name, or as an escape. */
const NOT_IN_A_DOMAIN = /[\0-,/:-@[-`{-\x7f]/;

/**
 * Where e-mail addresses are compared and written. The part before the `@` is compared by its characters, except that
 * the case of ASCII letters does not count: what other letters are equal is for the server of the domain to say, and
 * Unicode folding makes different people the same (the Kelvin sign U+212A becomes k). The domain is compared as DNS does.
 *
 * The migration of keys has a copy of this as it was on 2026-12-01: a change here needs a migration of its own.
 */

/**
 * The address with its domain in ASCII (punycode, `xn--…`), which every mail system takes. The rest stays as it is.
 * @returns undefined if the domain has no such form, and so names no domain.
 */
export function withAsciiDomain(email: string): string | undefined {
  if (!NON_ASCII.test(email)) return email;
  const at = email.lastIndexOf('@') + 1;
  const domain = email.slice(at);
  if (!NON_ASCII.test(domain)) return email;
  const ascii = NOT_IN_A_DOMAIN.test(domain) ? '' : domainToASCII(domain);
  return ascii === '' ? undefined : email.slice(0, at) + ascii;
}

/**
 * What is wrong with the characters of the address, as a sentence; undefined: nothing. A character that nobody can see, in the
 * middle of an address, comes from copying it: the address without it may be somebody else's.
 */
export function problemOfCharacters(email: string): string | undefined {
  const character = invisibleIn(email);
  if (character === undefined) return undefined;
  if (character === ' ') return 'An e-mail address has no spaces in it.';
  return `An e-mail address has no invisible characters in it; this one has ${nameOf(character)}.`;
}

/** The key by which two addresses are the same. Keys are compared in JavaScript or by their bytes, never by SQL's `lower()`. */
export function emailKeyOf(email: string): string {
  const trimmed = email.trim();
  const address = withAsciiDomain(trimmed) ?? trimmed;
  return NON_ASCII.test(address)
    ? address.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
    : address.toLowerCase();
}
