import { problemOfCharacters, withAsciiDomain } from '../../email-address.js';

/** The longest address that mail can carry (RFC 5321 with erratum 1690). */
const MAX_LENGTH = 254;

/** Named by the importer as refused anywhere in an address; the one `@` is looked at apart. */
const FORBIDDEN = /["(),:;<>[\\\]]/;

/** What counts as a dot in the domain names of other scripts (RFC 3490, 3.1). */
const OTHER_DOTS = /[\u3002\uff0e\uff61]/g;
/** Letters of any script: they are sent in ASCII. */
const DOMAIN_CHARACTERS = /^[\p{L}\p{M}\p{N}.-]*$/u;
/** Every server refuses such a domain: it can be none. */
const EMPTY_PART = /^\.|\.\./;
/** At least two letters after the last dot, or a top-level domain in the ASCII spelling of another script. */
const DOMAIN_END = /\.(?:[\p{L}\p{M}]{2,}|xn--[a-z0-9-]+)$/iu;

/**
 * The importer's rules for addresses (reference §3.5), which it applies to whole batches: one bad address refuses up to
 * 250 contacts. So only what these rules are sure to refuse is held back here; the rest is ActiveCampaign's to judge.
 * Letters of other scripts before the @ may be refused later. A domain of another script is sent in ASCII, and refused
 * here if it has no such form.
 * @returns the reason, for the person who reads it; undefined: the address may be sent.
 */
export function emailProblem(email: string): string | undefined {
  const problem = problemOfCharacters(email);
  if (problem !== undefined) return problem;
  if (email.length > MAX_LENGTH) return TOO_LONG;
  const at = email.indexOf('@');
  if (at === -1) return 'An e-mail address has an @.';
  if (at === 0) return 'Something is missing before the @.';
  if (email.includes('@', at + 1)) return 'An e-mail address has only one @.';
  if (FORBIDDEN.test(email))
    return 'ActiveCampaign takes no e-mail address with any of " ( ) , : ; < > [ \\ ] in it.';
  const asWritten = domainProblem(email.slice(at + 1).replace(OTHER_DOTS, '.'));
  if (asWritten !== undefined) return asWritten;
  const sent = withAsciiDomain(email);
  if (sent === undefined) return 'The part after the @ is not a valid domain name.';
  if (sent === email) return undefined;
  return sent.length > MAX_LENGTH ? TOO_LONG : domainProblem(sent.slice(at + 1));
}

const TOO_LONG = `An e-mail address has at most ${MAX_LENGTH} characters.`;

function domainProblem(domain: string): string | undefined {
  if (!DOMAIN_CHARACTERS.test(domain))
    return 'The part after the @ has only letters, digits, dots and hyphens.';
  if (EMPTY_PART.test(domain)) return 'Each dot after the @ has something before it.';
  if (!DOMAIN_END.test(domain))
    return 'The part after the @ ends in a dot and at least two letters, like .com.';
  return undefined;
}
