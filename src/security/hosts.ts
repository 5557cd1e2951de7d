import { BadInputError } from '../errors.js';
import { trimSpaces } from '../names.js';

export interface HostPolicy {
  /** Domains under which destinations live, like `api-us1.com`. A name below one of them may be called. */
  readonly suffixes: readonly string[];
  /** `host:port` of sandboxes: accepted exactly as written here. */
  readonly sandboxHosts: readonly string[];
}

/**
 * A host name, alone or as the URL that ActiveCampaign shows at Settings > Developer. Spelled out in ASCII without
 * the `i` flag, so that nothing that merely folds or normalises to these letters (full-width forms, the Kelvin sign)
 * gets through: what is checked here must be what is called later.
 */
const BARE_OR_PASTED = /^(?:https:\/\/([A-Za-z0-9.-]+)(?:\/(?:api\/3\/?)?)?|([A-Za-z0-9.-]+))$/;

/** At least two labels of 1 to 63 characters, none of which begins or ends with a hyphen (RFC 1123, 2.1). */
const HOST_NAME = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

const MAX_HOST_LENGTH = 253;

const REMEDY =
  'Copy the API URL from Settings > Developer in ActiveCampaign; it looks like https://name.api-us1.com.';

/**
 * The host of a connection, as somebody typed or pasted it: a bare host name below one of the policy's suffixes, its
 * API URL, or a sandbox of the policy. Spaces around it come from copying; no other character is forgiven. The server will call whatever is let through, so all else is refused; the
 * address behind the name is looked at again at every connect (destinations/http.ts).
 * @returns the bare host name in lower case, or the sandbox's `host:port`.
 * @throws {BadInputError} for the field `host`.
 */
export function parseHost(input: string, policy: HostPolicy): string {
  const text = trimSpaces(input);
  if (policy.sandboxHosts.includes(text)) return text;

  const match = BARE_OR_PASTED.exec(text);
  const host = (match?.[1] ?? match?.[2] ?? '').toLowerCase();
  if (host.length > MAX_HOST_LENGTH || !HOST_NAME.test(host)) {
    // Not quoted back: people paste URLs with passwords in them.
    throw new BadInputError('host', 'This is not the host name of an ActiveCampaign account.', REMEDY);
  }
  // The dot makes it a match at a label boundary, and leaves room for at least one label before it.
  if (!policy.suffixes.some((suffix) => host.endsWith(`.${suffix.toLowerCase()}`))) {
    throw new BadInputError(
      'host',
      `The host ${host} is not one that this server may call: it must end in ${listOf(policy.suffixes)}.`,
      `${REMEDY} If that URL ends otherwise, ask the operator to add its domain to SLUICE_DESTINATION_SUFFIXES.`,
    );
  }
  return host;
}

function listOf(suffixes: readonly string[]): string {
  return suffixes.map((suffix) => `.${suffix}`).join(' or ');
}
