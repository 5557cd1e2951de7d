import type { Capacity, Credentials } from '../destination.js';
import type { Client } from './client.js';
import { explain } from './identity.js';

/** What an account without a limit shows: the greatest number that fits into the documented integer. */
const NO_LIMIT = 2_147_483_647;

/**
 * From `/settings/account`, which is new and for administrators only (reference §1.4): to be kept out says nothing of
 * the credentials. @throws {RetryLaterError} | {FixCredentialsError}
 */
export async function fetchCapacity(client: Client, credentials: Credentials): Promise<Capacity> {
  const answer = await client.get(credentials, '/settings/account');
  switch (answer.kind) {
    case 'OK': {
      const limit = count(answer.body.subscriber_limit);
      return {
        limit: limit === NO_LIMIT ? undefined : limit,
        contacts: count(answer.body.subscriber_total),
      };
    }
    case 'FORBIDDEN':
    case 'NOT_FOUND':
      return { limit: undefined, contacts: undefined };
    case 'NOT_JSON':
    case 'REDIRECT':
    case 'BAD_REQUEST':
    case 'UNPAID':
      return explain(client, credentials, answer, 'to the question how many contacts the account may hold');
  }
}

/** Documented as integers; nearly all other numbers of this API are texts. */
function count(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : undefined;
}
