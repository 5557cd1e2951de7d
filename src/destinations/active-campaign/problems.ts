import { FixCredentialsError, RetryLaterError } from '../destination.js';

const MAX_REASON_LENGTH = 500;

/**
 * What a person must mend, in words for that person. Runs show them to everybody, so they do not name the host, which is for
 * administrators.
 */

export function wrongKey(): FixCredentialsError {
  return new FixCredentialsError(
    'WRONG_KEY',
    'ActiveCampaign does not accept the API key.',
    'Copy the key again from Settings > Developer in ActiveCampaign; it stops working when it is reset or its user is deleted.',
  );
}

export function wrongAccount(): FixCredentialsError {
  return new FixCredentialsError(
    'WRONG_ACCOUNT',
    'The host sends callers elsewhere, as it does when there is no account of that name.',
    'Compare the host with the API URL at Settings > Developer in ActiveCampaign.',
  );
}

export function notActiveCampaign(): FixCredentialsError {
  return new FixCredentialsError(
    'NOT_ACTIVE_CAMPAIGN',
    'The host does not answer like the API of ActiveCampaign.',
    'Compare host and key with API URL and key at Settings > Developer in ActiveCampaign.',
  );
}

export function accountUnpaid(): FixCredentialsError {
  return new FixCredentialsError(
    'ACCOUNT_UNPAID',
    'The account is closed until a payment is settled.',
    'Settle the payment in ActiveCampaign, under Settings > Billing, then connect again.',
  );
}

export function noListPermission(): FixCredentialsError {
  return new FixCredentialsError(
    'NO_LIST_PERMISSION',
    'ActiveCampaign accepts the API key, but its user may not see lists.',
    "Give the user's group permission for lists in ActiveCampaign, or use the key of another user.",
  );
}

/** An answer that fits nothing we know. It may well be different the next time. */
export function senseless(host: string, what: string): RetryLaterError {
  return new RetryLaterError(
    `${host} gave an answer that makes no sense ${what}.`,
    undefined,
    false,
    'NONSENSE',
  );
}

/**
 * Why a contact was refused, as ActiveCampaign puts it, cut for the rows and screens in which it ends up: without what
 * Postgres refuses in text, NUL and half a character, which the cut can make.
 */
export function givenReason(reason: string): string {
  return (
    reason.slice(0, MAX_REASON_LENGTH).toWellFormed().replaceAll('\0', '\ufffd') ||
    'ActiveCampaign gave no reason.'
  );
}
