import { domainToASCII } from 'node:url';

/*
 * What src/email-address.ts said when this migration was written. A migration must not change with the program: what it
 * has written is never written again.
 */

const NON_ASCII = /[^\0-\x7f]/;
const NOT_IN_A_DOMAIN = /[\0-,/:-@[-`{-\x7f]/;

/** Only this letter became ASCII under the old keys, which were addresses in the lower case of Unicode. */
export const KELVIN_SIGN = '\u212A';

/** The address with its domain in ASCII, where it has such a form. */
export function withAsciiDomain(email: string): string {
  const at = email.lastIndexOf('@') + 1;
  const domain = email.slice(at);
  if (!NON_ASCII.test(domain)) return email;
  const ascii = NOT_IN_A_DOMAIN.test(domain) ? '' : domainToASCII(domain);
  return ascii === '' ? email : email.slice(0, at) + ascii;
}

/** The new key of an address. */
export function keyOf(email: string): string {
  return withAsciiDomain(email.trim()).replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** Orders as both databases do. */
export function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
