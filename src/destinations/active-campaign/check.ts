import type { Account, Credentials } from '../destination.js';
import type { Client } from './client.js';
import { explain, getLists, requireUser } from './identity.js';
import { isObject, type JsonObject } from './json.js';

/**
 * Proves that the credentials open an account whose lists may be read, and finds out which account it is.
 * @param suffixes domains below which the first name is the account's own, like `api-us1.com`.
 * @throws {FixCredentialsError} | {RetryLaterError}
 */
export async function check(
  client: Client,
  credentials: Credentials,
  suffixes: readonly string[],
): Promise<Account> {
  const user = await requireUser(client, credentials);
  const id = accountId(await accountHost(client, credentials, user), suffixes);
  const lists = await getLists(client, credentials, '/lists?limit=1');
  if (lists.kind !== 'OK') return explain(client, credentials, lists, 'to the question for lists');
  return { id };
}

/** A host name or the first part of one; not the name of a company, which is nobody's alone. */
const ACCOUNT_NAME = /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/i;

/** By its own name if the key's user is an administrator, else by where it says that it lives, else by our word. */
async function accountHost(client: Client, credentials: Credentials, user: JsonObject): Promise<string> {
  const answer = await client.get(credentials, '/settings/account');
  if (answer.kind === 'OK') {
    const { account } = answer.body;
    if (typeof account === 'string' && ACCOUNT_NAME.test(account)) return account;
  }
  const links = isObject(user.links) ? Object.values(user.links) : [];
  const link = links.find((value): value is string => typeof value === 'string' && URL.canParse(value));
  return link === undefined ? credentials.host : new URL(link).host;
}

/**
 * One id for all host names of an account: `acme`, `acme.api-us1.com` and `acme.activehosted.com` are one, whichever
 * of them this key's user gets to see. Part of the ledger's key: another id would mean that everybody is new.
 */
function accountId(host: string, suffixes: readonly string[]): string {
  const name = host.toLowerCase();
  const suffix = suffixes.map((candidate) => `.${candidate.toLowerCase()}`).find((end) => name.endsWith(end));
  return suffix === undefined ? name : name.slice(0, -suffix.length);
}
