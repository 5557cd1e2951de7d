import { domainToASCII } from 'node:url';

const NON_ASCII = /[^\0-\x7f]/;

/**
 * The key by which the account knows an address. Only ASCII letters are compared without regard to case: the Kelvin sign
 * (U+212A) is no k. A domain is the same in its own script and in ASCII.
 */
export function addressKey(email: string): string {
  if (!NON_ASCII.test(email)) return email.toLowerCase();
  const at = email.lastIndexOf('@') + 1;
  const domain = email.slice(at);
  const ascii = hasUnicodeDomain(email) ? domainToASCII(domain) : '';
  return foldAscii(email.slice(0, at) + (ascii === '' ? domain : ascii));
}

/** Whether the domain is written in another script than ASCII. */
export function hasUnicodeDomain(email: string): boolean {
  return NON_ASCII.test(email) && NON_ASCII.test(email.slice(email.lastIndexOf('@') + 1));
}

/** Lower case for ASCII letters; all others stay as they are. */
export function foldAscii(text: string): string {
  return NON_ASCII.test(text)
    ? text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
    : text.toLowerCase();
}
