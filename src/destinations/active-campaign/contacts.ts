import { emailKeyOf } from '../../email-address.js';
import { type ContactRef, type Credentials, type Membership, RefusedContactsError } from '../destination.js';
import type { Client } from './client.js';
import { explain } from './identity.js';
import { idOf, isObject, type JsonObject } from './json.js';
import { CALL_INTERVAL_MS } from './limits.js';
import { givenReason, senseless } from './problems.js';

/*
 * Single people, for whom the importer has no words: looking somebody up, and bringing somebody back.
 *
 * The importer never puts anybody back who was unsubscribed from the list (reference §3.6), whoever unsubscribed them.
 * `/contactLists` does, and would do so to people who opted out as well (§6.5). So there are three calls on the way
 * back, and the caller judges between the second and the third: who is it, how do they stand with the list, subscribe.
 */

/** More than one, since look-alikes may be answered too: to a database e and é can be the same letter. */
const FOUND_PAGE_SIZE = 20;

/** The most that ActiveCampaign gives at a time, and the fewest at which a page of any account is cut (§2.3). */
const PAGE_SIZE = 100;
const SMALLEST_FULL_PAGE = 20;
const MAX_PAGES = 100;

/** What ActiveCampaign wants to be told when somebody is subscribed again (§6.5). */
const SOURCE_RESUBSCRIBED = 4;
const STATUS_ACTIVE = 1;

const WHOSE_ADDRESS = 'to the question whose address it is';
const WHICH_LISTS = 'to the question on which lists a contact is';
const BACK_ON_LIST = 'to a contact that is to be on a list again';

/**
 * Who has this address. A filter that ActiveCampaign does not understand is no filter, and the first page of everybody
 * is answered (reference §6.3): so only a contact that shows the address is taken.
 * @throws {RetryLaterError} | {FixCredentialsError}
 */
export async function findContact(
  client: Client,
  credentials: Credentials,
  email: string,
): Promise<ContactRef | undefined> {
  const query = new URLSearchParams({ email, 'orders[id]': 'ASC', limit: String(FOUND_PAGE_SIZE) });
  const answer = await client.get(credentials, '/contacts', query);
  if (answer.kind !== 'OK') return explain(client, credentials, answer, WHOSE_ADDRESS);
  const contact = rowsOf(answer.body.contacts, credentials, WHOSE_ADDRESS).find((row) => {
    return typeof row.email === 'string' && emailKeyOf(row.email) === emailKeyOf(email);
  });
  if (contact === undefined) return undefined;
  const id = idOf(contact.id);
  if (id === undefined) throw senseless(credentials.host, WHOSE_ADDRESS);
  return { id };
}

/**
 * How a contact stands with a list. Nobody has published whether this answer comes in pages, so a list that is missing
 * from it is looked for on until a page is short or brings nothing new.
 * @throws {RetryLaterError} | {FixCredentialsError}
 */
export async function fetchMembership(
  client: Client,
  credentials: Credentials,
  { id }: ContactRef,
  listId: string,
): Promise<Membership | undefined> {
  const seen = new Set<string>();
  for (let page = 0, offset = 0; page < MAX_PAGES; page++) {
    if (page > 0) await client.pause(credentials, CALL_INTERVAL_MS);
    const query = new URLSearchParams({ limit: String(PAGE_SIZE), offset: String(offset) });
    const answer = await client.get(credentials, `/contacts/${encodeURIComponent(id)}/contactLists`, query);
    if (answer.kind === 'NOT_FOUND' && answer.body !== undefined) return undefined;
    if (answer.kind !== 'OK') return explain(client, credentials, answer, WHICH_LISTS);
    const rows = rowsOf(answer.body.contactLists, credentials, WHICH_LISTS);
    const known = seen.size;
    for (const row of rows) {
      const list = idOf(row.list);
      const status = idOf(row.status);
      if (list === undefined || status === undefined) throw senseless(credentials.host, WHICH_LISTS);
      if (list === listId) return readMembership(row, status);
      seen.add(list);
    }
    if (rows.length < SMALLEST_FULL_PAGE || seen.size === known) return undefined;
    offset += rows.length;
  }
  throw senseless(credentials.host, WHICH_LISTS);
}

/**
 * Puts a contact on a list, whatever was before: the contract tells when that is allowed.
 * @throws {RefusedContactsError} | {RetryLaterError} | {FixCredentialsError}
 */
export async function subscribe(
  client: Client,
  credentials: Credentials,
  { id }: ContactRef,
  listId: string,
): Promise<void> {
  const contactList = { list: listId, contact: id, status: STATUS_ACTIVE, sourceid: SOURCE_RESUBSCRIBED };
  const body = Buffer.from(JSON.stringify({ contactList }));
  const answer = await client.post(credentials, '/contactLists', body);
  switch (answer.kind) {
    case 'OK':
      if (!isObject(answer.body.contactList)) throw senseless(credentials.host, BACK_ON_LIST);
      return;
    // Sources differ on the status for a contact or a list that is gone: 400, 404 or 422 (§6.5). A web page is
    // somebody else's refusal.
    case 'BAD_REQUEST':
    case 'NOT_FOUND':
      if (answer.body !== undefined) throw refusal(answer.body);
      return explain(client, credentials, answer, BACK_ON_LIST);
    case 'NOT_JSON':
    case 'REDIRECT':
    case 'UNPAID':
    case 'FORBIDDEN':
      return explain(client, credentials, answer, BACK_ON_LIST);
  }
}

function rowsOf(value: unknown, { host }: Credentials, what: string): JsonObject[] {
  if (!Array.isArray(value) || !value.every(isObject)) throw senseless(host, what);
  return value;
}

function readMembership(row: JsonObject, status: string): Membership {
  const { unsubreason, campaign, message, unsubscribeAutomation } = row;
  return {
    status: statusOf(status),
    changedAt: momentOf(row.udate),
    byPerson: [unsubreason, campaign, message, unsubscribeAutomation].some(isNoted),
  };
}

/** Sources agree on 1 and 2 only (§6.5). */
function statusOf(status: string): Membership['status'] {
  if (status === '1') return 'ACTIVE';
  return status === '2' ? 'UNSUBSCRIBED' : 'OTHER';
}

/** How records write moments. Those without an offset are in the account's time zone, which is not told (§6.3). */
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;

/** Undefined for the several ways in which "never" is written, and for a moment that could be this or that. */
function momentOf(value: unknown): number | undefined {
  const ms = typeof value === 'string' && MOMENT.test(value) ? Date.parse(value) : NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

/** How "no reason" and "no such thing" are written: texts are empty, ids null or 0. */
const NOTHING: readonly unknown[] = [undefined, null, '', '0', 0];

function isNoted(value: unknown): boolean {
  return !NOTHING.includes(typeof value === 'string' ? value.trim() : value);
}

/** Of an error in either of the usual envelopes (§9), what is meant for people. */
function refusal(body: JsonObject): RefusedContactsError {
  const entries: unknown[] = [body.errors ?? body].flat();
  const texts = entries
    .flatMap((entry) => (isObject(entry) ? [entry.title, entry.detail, entry.message] : [entry]))
    .filter((text) => typeof text === 'string' && text !== '');
  const reason = givenReason(texts.join(' '));
  return new RefusedContactsError(new Map([[0, reason]]), reason);
}
