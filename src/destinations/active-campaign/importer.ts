import {
  type Contact,
  type ContactBatch,
  type Credentials,
  type Receipt,
  RefusedContactsError,
  RetryLaterError,
} from '../destination.js';
import { type Answer, type Client, takenAfter } from './client.js';
import { explain } from './identity.js';
import { idOf, isObject, type JsonObject, member } from './json.js';
import { QUOTA_WINDOW_MS } from './limits.js';
import { givenReason, senseless } from './problems.js';

const WHAT = 'to a batch of contacts';

/** The importer's body around its contacts. Automations run unless they are excluded, at top level (reference §3.1). */
const OPENING = '{"contacts":[';
const CLOSING = ']}';
const CLOSING_WITHOUT_AUTOMATIONS = '],"exclude_automations":true}';

/** Bytes of a request besides its contacts. */
export const ENVELOPE_BYTES = Buffer.byteLength(OPENING + CLOSING_WITHOUT_AUTOMATIONS);

const COMMA_BYTES = 1;

/** Exact, but for the comma after the last contact of a batch, which is counted and not sent. */
export function bytesOf(contact: Contact, listId: string): number {
  return Buffer.byteLength(write(contact, listId)) + COMMA_BYTES;
}

/** What JSON makes of one unit of UTF-16 at most: a control character becomes \\u001f. In UTF-8 none takes more. */
const MAX_BYTES_OF_UNIT = 6;
/** The names of the fields, their quotes and commas. */
const FRAME_BYTES = bytesOf({ email: '', firstName: '', lastName: '', phone: '' }, '');

/** The same as `bytesOf` or more, without writing the contact. */
export function bytesAtMost({ email, firstName, lastName, phone }: Contact, listId: string): number {
  const units = email.length + (firstName?.length ?? 0) + (lastName?.length ?? 0) + (phone?.length ?? 0);
  return FRAME_BYTES + listId.length + units * MAX_BYTES_OF_UNIT;
}

/**
 * Hands a batch to the importer (reference §3). A batchId is what tells that it was queued: not the content type,
 * which is text/html, nor `success`, whose spelling and range differ.
 * @throws {RefusedContactsError} | {RetryLaterError} | {FixCredentialsError}
 */
export async function send(client: Client, credentials: Credentials, batch: ContactBatch): Promise<Receipt> {
  const contacts = batch.contacts.map((contact) => write(contact, batch.listId)).join(',');
  const body = Buffer.from(
    OPENING + contacts + (batch.runAutomations ? CLOSING : CLOSING_WITHOUT_AUTOMATIONS),
  );
  const answer = await client.post(credentials, '/import/bulk_import', body);
  switch (answer.kind) {
    case 'OK': {
      const batchId = idOf(member(answer.body, 'batchId'));
      if (batchId === undefined) throw senseless(credentials.host, WHAT);
      return batchId;
    }
    case 'BAD_REQUEST':
      // Smaller batches may pass.
      if (answer.status === 413) throw new RefusedContactsError(new Map(), 'The batch was too large.');
      if (answer.body !== undefined && Number(member(answer.body, 'success')) === 0) {
        throw refusal(answer.body, batch.contacts.length, client.scaled(credentials, QUOTA_WINDOW_MS));
      }
      return explainBatch(client, credentials, answer);
    case 'NOT_JSON':
    case 'REDIRECT':
    case 'UNPAID':
    case 'FORBIDDEN':
    case 'NOT_FOUND':
      return explainBatch(client, credentials, answer);
  }
}

/**
 * As `explain`, which asks `/users/me` besides: an error of that question says what to do next, but whether the batch was
 * taken follows from the answer to the batch alone.
 */
async function explainBatch(
  client: Client,
  credentials: Credentials,
  answer: Exclude<Answer, { kind: 'OK' }>,
): Promise<never> {
  try {
    return await explain(client, credentials, answer, WHAT);
  } catch (error: unknown) {
    if (!(error instanceof RetryLaterError)) throw error;
    const { message, afterMs, tooFast, instead } = error;
    throw new RetryLaterError(message, afterMs, tooFast, instead, takenAfter(answer));
  }
}

/** The importer wants snake_case and silently drops other names. Undefined values are left out. */
function write({ email, firstName, lastName, phone, unsubscribe }: Contact, listId: string): string {
  const lists = [{ listid: Number(listId) }];
  if (unsubscribe === true) return JSON.stringify({ email, unsubscribe: lists });
  return JSON.stringify({
    email,
    first_name: firstName,
    last_name: lastName,
    phone,
    subscribe: lists,
  });
}

/**
 * The importer says 400 to contacts that it does not like (§3.3) and to calls over its quota (§3.4). The former are
 * objects with a place, counted from 1; strings are about the batch, and only words tell that they mean the quota.
 */
function refusal(body: JsonObject, count: number, quotaWindowMs: number): Error {
  const message = member(body, 'message');
  const reasons: unknown = member(body, 'failureReasons');
  const entries: unknown[] = Array.isArray(reasons) ? reasons : [];
  const objects = entries.filter(isObject);
  const texts = [message, ...entries].filter((entry) => typeof entry === 'string');
  if (objects.length === 0 && texts.some((text) => /rate limit|up to \d+ imports/i.test(text))) {
    const message = 'The quota of the importer is used up for this minute.';
    return new RetryLaterError(message, quotaWindowMs, true, 'NOTHING', 'NO');
  }
  return new RefusedContactsError(namedContacts(objects, count), givenReason(texts.join(' ')));
}

/** A single place that cannot be in the batch means that places are counted otherwise: then none is believed. */
function namedContacts(entries: readonly JsonObject[], count: number): ReadonlyMap<number, string> {
  const named = new Map<number, string>();
  for (const entry of entries) {
    const place = Number(member(entry, 'contact'));
    if (!Number.isInteger(place) || place < 1 || place > count) return new Map();
    const reason = member(entry, 'failureReason');
    const before = named.get(place - 1);
    const texts = [before, reason].filter((text) => typeof text === 'string');
    named.set(place - 1, givenReason(texts.join('; ')));
  }
  return named;
}
