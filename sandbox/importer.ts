import { addressKey } from './addresses.js';
import type { AddressRules } from './faults.js';
import type { Lists } from './lists.js';
import type { Settings } from './settings.js';

export const MAX_CONTACTS = 250;
export const MAX_BODY_BYTES = 399_999;

/** A contact of a batch that passed validation. What is undefined was not sent and stays as it is. */
export interface ImportContact {
  readonly email: string;
  readonly key: string;
  readonly firstName: string | undefined;
  readonly lastName: string | undefined;
  readonly phone: string | undefined;
  readonly orgname: string | undefined;
  readonly fields: readonly { id: number; value: string }[];
  readonly tags: readonly string[];
  readonly subscribe: readonly number[];
  readonly unsubscribe: readonly number[];
  readonly excludeAutomations: boolean;
}

export interface ImportCallback {
  url: string;
  method: 'GET' | 'POST';
  detailedResults: boolean;
  params: { key: string; value: string }[];
  headers: { key: string; value: string }[];
}

export type FailureReason = string | { contact: number; failureReason: string };

export interface ImportRequest {
  contacts: ImportContact[];
  callback: ImportCallback | undefined;
}

type Json = Record<string, unknown>;

/** The parts of the account that validation asks. */
export interface ImportRules {
  settings: Settings;
  lists: Lists;
  addressRules: AddressRules;
}

/** The body as JSON, with its contacts counted, or the reasons why it cannot be looked at any further. */
export function readPayload(body: Buffer): { payload: Json; contacts: unknown[] } | { reasons: string[] } {
  if (body.length > MAX_BODY_BYTES) return { reasons: ['The payload must be less than 400K bytes'] };
  let payload: unknown;
  try {
    payload = JSON.parse(body.toString('utf8'));
  } catch {
    return { reasons: ['Invalid or unparsable json'] };
  }
  if (!isObject(payload)) return { reasons: ['Invalid or unparsable json'] };
  const { contacts } = payload;
  if (!Array.isArray(contacts) || contacts.length === 0) return { reasons: ["Field 'contacts' not found"] };
  return { payload, contacts: contacts as unknown[] };
}

/** All or nothing: the whole request, or every reason for which none of it is queued. Places count from 1. */
export function validateImport(
  payload: Json,
  contacts: readonly unknown[],
  rules: ImportRules,
): ImportRequest | { reasons: FailureReason[] } {
  if (contacts.length > MAX_CONTACTS) {
    return { reasons: [`Up to ${MAX_CONTACTS} contacts may be imported per request`] };
  }
  const reasons: FailureReason[] = [];
  const unnamed = new Set<string>();
  const accepted: ImportContact[] = [];
  const excludeAll = isTrue(payload.exclude_automations);
  for (const [index, raw] of contacts.entries()) {
    const contact = readContact(raw, excludeAll);
    if (typeof contact === 'string') {
      reasons.push({ contact: index + 1, failureReason: contact });
      continue;
    }
    const refusal = refusalOf(contact, rules);
    if (refusal === undefined) accepted.push(contact);
    else if (refusal.named) reasons.push({ contact: index + 1, failureReason: refusal.reason });
    else unnamed.add(refusal.reason);
  }
  const callback = readCallback(payload.callback);
  if (typeof callback === 'string') unnamed.add(callback);
  reasons.push(...unnamed);
  if (reasons.length > 0 || typeof callback === 'string') return { reasons };
  return { contacts: accepted, callback };
}

function refusalOf(
  { key, subscribe }: ImportContact,
  { settings, lists, addressRules }: ImportRules,
): { named: boolean; reason: string } | undefined {
  const rule = addressRules.find(key, 'now');
  if (rule !== undefined) return { named: rule.how === 'named', reason: rule.reason };
  if (settings.unknownList === 'refused' && subscribe.some((list) => !lists.has(list))) {
    return { named: true, reason: "Field 'subscribe' list not found" };
  }
  return undefined;
}

/** A contact, or why it is none. */
function readContact(raw: unknown, excludeAll: boolean): ImportContact | string {
  if (!isObject(raw)) return "Field 'email' not found";
  const { email } = raw;
  if (email === undefined || email === null) return "Field 'email' not found";
  if (typeof email !== 'string' || !isAddress(email)) return "Field 'email' incorrect format";
  const subscribe = readListIds(raw.subscribe);
  if (subscribe === undefined) return "Field 'subscribe' incorrect format";
  const unsubscribe = readListIds(raw.unsubscribe);
  if (unsubscribe === undefined) return "Field 'unsubscribe' incorrect format";
  const fields = readFields(raw.fields);
  if (fields === undefined) return "Field 'fields' incorrect format";
  return {
    email,
    key: addressKey(email),
    firstName: text(raw.first_name),
    lastName: text(raw.last_name),
    phone: text(raw.phone),
    orgname: text(raw.customer_acct_name),
    fields,
    tags: Array.isArray(raw.tags) ? raw.tags.filter((tag) => typeof tag === 'string' && tag !== '') : NONE,
    subscribe,
    unsubscribe,
    excludeAutomations: excludeAll || isTrue(raw.exclude_automations),
  };
}

const NONE: readonly never[] = Object.freeze([]);

/**
 * The importer's printed rule: something before the one `@`, none of `" ( ) , : ; < > @ [ \ ]`, a dot in the
 * domain with at least two letters after it. Assumptions: white space is refused too, accents pass, and so does a
 * top-level domain of another script in its ASCII spelling.
 */
const ADDRESS = /^[^\s"(),:;<>@[\\\]]+@[^\s"(),:;<>@[\\\]]+\.(?:[\p{L}\p{M}]{2,}|xn--[a-z0-9-]+)$/iu;

export function isAddress(email: string): boolean {
  return ADDRESS.test(email);
}

/** List ids, given as numbers or as texts of digits. */
function readListIds(raw: unknown): readonly number[] | undefined {
  if (raw === undefined || raw === null) return NONE;
  if (!Array.isArray(raw)) return undefined;
  const ids: number[] = [];
  for (const entry of raw as unknown[]) {
    const id = isObject(entry) ? wholeNumber(entry.listid) : undefined;
    if (id === undefined) return undefined;
    ids.push(id);
  }
  return ids;
}

function readFields(raw: unknown): readonly { id: number; value: string }[] | undefined {
  if (raw === undefined || raw === null) return NONE;
  if (!Array.isArray(raw)) return undefined;
  const fields: { id: number; value: string }[] = [];
  for (const entry of raw as unknown[]) {
    if (!isObject(entry)) return undefined;
    const id = wholeNumber(entry.id);
    const value = text(entry.value);
    if (id === undefined || value === undefined) return undefined;
    fields.push({ id, value });
  }
  return fields;
}

/** None was sent (an empty object counts as none), what was sent, or why it will not do. */
function readCallback(raw: unknown): ImportCallback | undefined | string {
  if (!isObject(raw) || Object.keys(raw).length === 0) return undefined;
  if (typeof raw.url !== 'string' || !URL.canParse(raw.url)) return "Field 'callback.url' not found";
  return {
    url: raw.url,
    method: raw.requestType === 'GET' ? 'GET' : 'POST',
    detailedResults: raw.detailed_results === undefined || isTrue(raw.detailed_results),
    params: readPairs(raw.params),
    headers: readPairs(raw.headers),
  };
}

function readPairs(raw: unknown): { key: string; value: string }[] {
  if (!Array.isArray(raw)) return [];
  return (raw as unknown[])
    .filter(isObject)
    .map((pair) => ({ key: text(pair.key) ?? '', value: text(pair.value) ?? '' }))
    .filter(({ key }) => key !== '');
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isTrue(value: unknown): boolean {
  return value === true || value === 1 || value === '1' || value === 'true';
}

function wholeNumber(value: unknown): number | undefined {
  const id = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  return typeof id === 'number' && Number.isSafeInteger(id) ? id : undefined;
}

/** Texts as they are, numbers and booleans as PHP would write them, anything else not at all. */
function text(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  if (typeof value === 'boolean') return value ? '1' : '';
  return value === null ? '' : undefined;
}
