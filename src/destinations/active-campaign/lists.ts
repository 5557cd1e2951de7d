import type { ContactList, Credentials } from '../destination.js';
import type { Client } from './client.js';
import { explain, getLists } from './identity.js';
import { idOf, isObject } from './json.js';
import { CALL_INTERVAL_MS } from './limits.js';
import { senseless } from './problems.js';

/** The most that ActiveCampaign gives at a time. */
const PAGE_SIZE = 100;
const MAX_PAGES = 100;

const WHAT = 'to the question for lists';

/**
 * Every list that the key's user may see, in the account's order; 10,000 at most.
 * Neither the size of a page nor `meta.total` is relied on: some accounts cut pages to 20 rows (reference §2.3). The
 * end is a page that holds nothing new.
 */
export async function fetchLists(client: Client, credentials: Credentials): Promise<ContactList[]> {
  const lists = new Map<string, ContactList>();
  for (let page = 0, offset = 0; page < MAX_PAGES; page++) {
    if (page > 0) await client.pause(credentials, CALL_INTERVAL_MS);
    const answer = await getLists(client, credentials, `/lists?limit=${PAGE_SIZE}&offset=${offset}`);
    if (answer.kind !== 'OK') return explain(client, credentials, answer, WHAT);
    const rows: unknown = answer.body.lists;
    if (!Array.isArray(rows)) throw senseless(credentials.host, WHAT);
    const known = lists.size;
    for (const list of rows.map((row: unknown) => readList(row, credentials.host))) lists.set(list.id, list);
    if (lists.size === known) break;
    offset += rows.length;
  }
  return [...lists.values()];
}

/** The list of that id; undefined: the account has none, or the key's user may not see it. */
export async function fetchList(
  client: Client,
  credentials: Credentials,
  id: string,
): Promise<ContactList | undefined> {
  if (!/^\d+$/.test(id)) return undefined;
  const answer = await client.get(credentials, `/lists/${id}`);
  if (answer.kind === 'OK' && isObject(answer.body.list)) {
    const list = readList(answer.body.list, credentials.host);
    if (list.id === id) return list;
  }
  if (answer.kind === 'NOT_FOUND' && answer.body !== undefined) return undefined;
  // Some routes say 403 for what does not exist (reference §9), and words are no way to tell: all lists are.
  const lists = await fetchLists(client, credentials);
  return lists.find((list) => list.id === id);
}

function readList(row: unknown, host: string): ContactList {
  const id = isObject(row) ? idOf(row.id) : undefined;
  const name = isObject(row) ? row.name : undefined;
  if (id === undefined || typeof name !== 'string') throw senseless(host, WHAT);
  return { id, name };
}
