import { type Credentials, RetryLaterError } from '../destination.js';
import type { Answer, Client } from './client.js';
import { isObject, type JsonObject } from './json.js';
import {
  accountUnpaid,
  noListPermission,
  notActiveCampaign,
  senseless,
  wrongAccount,
  wrongKey,
} from './problems.js';

/**
 * Whether a key works is asked of `/users/me` alone. ActiveCampaign answers 403 to good keys now and then, and also
 * for want of a permission (reference §1.3), so that a key counts as wrong only when `/users/me` says so twice.
 */
const SECOND_LOOK_MS = 5_000;

/**
 * The user to whom the key belongs.
 * @throws {FixCredentialsError} when the account itself says that these credentials are of no use; {RetryLaterError}.
 */
export async function requireUser(client: Client, credentials: Credentials): Promise<JsonObject> {
  const { host } = credentials;
  let answer = await client.get(credentials, '/users/me');
  if (answer.kind === 'FORBIDDEN') {
    await client.pause(credentials, SECOND_LOOK_MS);
    answer = await client.get(credentials, '/users/me');
  }
  switch (answer.kind) {
    case 'OK': {
      const { user } = answer.body;
      if (!isObject(user)) throw notActiveCampaign();
      return user;
    }
    case 'FORBIDDEN':
      throw wrongKey();
    case 'REDIRECT':
      throw wrongAccount();
    case 'UNPAID':
      throw accountUnpaid();
    case 'NOT_JSON':
    case 'NOT_FOUND':
      throw notActiveCampaign();
    case 'BAD_REQUEST':
      throw senseless(host, 'to the question whose key this is');
  }
}

/**
 * Judges an answer that a working account does not give: the user must act only if `/users/me` says so too.
 * Always throws: {FixCredentialsError} | {RetryLaterError}.
 */
export async function explain(
  client: Client,
  credentials: Credentials,
  answer: Exclude<Answer, { kind: 'OK' }>,
  what: string,
): Promise<never> {
  switch (answer.kind) {
    case 'FORBIDDEN':
    case 'REDIRECT':
    case 'UNPAID':
      await requireUser(client, credentials);
      throw new RetryLaterError(`${credentials.host} refused the call ${what}, although the API key works.`);
    // A web page in the middle of things is maintenance more often than a wrong host.
    case 'NOT_JSON':
    case 'NOT_FOUND':
    case 'BAD_REQUEST':
      throw senseless(credentials.host, what);
  }
}

/** As `client.get`, for the routes of lists, where a lasting 403 is a missing permission. */
export async function getLists(client: Client, credentials: Credentials, path: string): Promise<Answer> {
  const answer = await client.get(credentials, path);
  if (answer.kind !== 'FORBIDDEN') return answer;
  await requireUser(client, credentials);
  await client.pause(credentials, SECOND_LOOK_MS);
  const second = await client.get(credentials, path);
  if (second.kind === 'FORBIDDEN') throw noListPermission();
  return second;
}
