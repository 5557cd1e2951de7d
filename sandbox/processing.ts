import { randomUUID } from 'node:crypto';
import type { Account } from './account.js';
import type { Batch } from './batch.js';
import { hasUnicodeDomain } from './addresses.js';
import { makeCallback } from './callbacks.js';
import { ACTIVE, UNSUBSCRIBED, type Contact } from './contacts.js';
import type { FaultAction } from './faults.js';
import type { ImportContact, ImportRequest } from './importer.js';
import type { BatchReport } from './journal.js';

/*
 * The life of a batch
 *
 * A batch is accepted whole or not at all. From then on only the clock moves it; `processingMs` is its whole way:
 *
 *     accepted ── false ── waiting ── claimed ── active ──▶ completed | failed | interrupted
 *                 ≤ 1 s    to 2/6     to 3/6     to 6/6
 *
 * Everything happens at the end of the way, at once: the contacts change, the failures are known, the callback goes
 * out. No sooner can anybody see a part of it. A `batch` fault makes it end as failed (nothing was done) or as
 * interrupted (a part was done), and no contact is reported then.
 *
 * *Decided* is the moment from which a caller could know the end. It is the end itself, unless a `withhold` fault
 * keeps `/import/info` at an earlier status: then it is the poll that first tells, or never. The judge holds a batch
 * against a sender until it is decided.
 */

/** Share of the way at which each status ends. */
const UNASSIGNED_UNTIL = 1 / 6;
const WAITING_UNTIL = 2 / 6;
const CLAIMED_UNTIL = 3 / 6;
const LONGEST_UNASSIGNED_MS = 1_000;

/** Takes a valid request into the account; its end comes with the clock. */
export function acceptBatch(account: Account, request: ImportRequest, fault: FaultAction | undefined): Batch {
  const now = account.clock.now();
  const batch: Batch = {
    id: randomUUID(),
    contacts: request.contacts,
    size: request.contacts.length,
    acceptedAt: now,
    dueAt: now + account.settings.processingMs,
    callback: request.callback,
    fault: fault?.type === 'batch' || fault?.type === 'withhold' ? fault : undefined,
    excuse: fault?.type === 'withhold' ? 'results withheld' : null,
    end: undefined,
    decidedAt: null,
    polls: 0,
    success: [],
    failure: [],
  };
  account.batches.set(batch.id, batch);
  account.judge.accepted(batch);
  account.clock.at(batch.dueAt, (due) => {
    processBatch(account, batch, due);
  });
  account.journal.bell.ring('accepted', reportBatch(batch));
  return batch;
}

/** What `/import/info` says of a batch now. Asking counts as a poll. */
export function pollBatch(
  account: Account,
  batch: Batch,
): { status: string | false; success: string[]; failure: string[] } {
  const withheld = withheldStatus(batch);
  batch.polls += 1;
  if (withheld !== undefined) return { status: withheld, success: [], failure: [] };
  if (batch.end === undefined) {
    return { status: statusOnTheWay(batch, account.clock.now()), success: [], failure: [] };
  }
  decide(account, batch, account.clock.now());
  return { status: batch.end, success: batch.success.map(String), failure: batch.failure };
}

export function reportBatch(batch: Batch): BatchReport {
  return {
    batchId: batch.id,
    contacts: batch.size,
    acceptedAt: batch.acceptedAt,
    decidedAt: batch.decidedAt,
    status: batch.end ?? 'undecided',
    success: batch.success.length,
    failure: batch.failure,
    receiptSent: batch.excuse !== 'receipt lost',
  };
}

function withheldStatus({ fault, polls }: Batch): string | false | undefined {
  if (fault?.type !== 'withhold' || polls >= (fault.polls ?? Infinity)) return undefined;
  return fault.status ?? 'active';
}

function statusOnTheWay({ acceptedAt, dueAt }: Batch, now: number): string | false {
  const way = dueAt - acceptedAt;
  const gone = now - acceptedAt;
  if (gone < Math.min(LONGEST_UNASSIGNED_MS, way * UNASSIGNED_UNTIL)) return false;
  if (gone < way * WAITING_UNTIL) return 'waiting';
  if (gone < way * CLAIMED_UNTIL) return 'claimed';
  return 'active';
}

function processBatch(account: Account, batch: Batch, at: number): void {
  const { fault } = batch;
  if (fault?.type === 'batch') {
    const part = fault.processed ?? (fault.status === 'interrupted' ? Math.floor(batch.size / 2) : 0);
    for (const contact of batch.contacts.slice(0, part)) importContact(account, contact, at);
    batch.end = fault.status;
  } else {
    for (const contact of batch.contacts) {
      const result = importContact(account, contact, at);
      if (result.failed) {
        batch.failure.push(spelled(contact.email, account));
        account.judge.failed(contact.key);
      } else if (result.created || account.settings.successIds === 'created-and-updated') {
        batch.success.push(result.contact.id);
      }
    }
    batch.end = 'completed';
  }
  if (withheldStatus(batch) === undefined) decide(account, batch, at);
  account.journal.bell.ring('processed', reportBatch(batch));
  if (batch.callback !== undefined) makeCallback(account, batch.callback, batch);
}

function decide(account: Account, batch: Batch, at: number): void {
  if (batch.decidedAt !== null) return;
  batch.decidedAt = at;
  account.judge.decided(batch);
  batch.contacts = [];
}

type ImportResult = { failed: true } | { failed: false; created: boolean; contact: Contact };

/** One contact: reported as failed for one of the known reasons, or made, or changed where it was given. */
function importContact(account: Account, incoming: ImportContact, at: number): ImportResult {
  const { contacts, settings } = account;
  const known = contacts.find(incoming.key);
  if (isNeverImported(account, incoming)) return { failed: true };
  if (known === undefined && settings.subscriberLimit !== null && contacts.size >= settings.subscriberLimit) {
    return { failed: true };
  }
  const optedOut = incoming.subscribe.some((list) => known?.membership(list)?.status === UNSUBSCRIBED);
  if (optedOut && settings.priorUnsubscribe === 'contact') return { failed: true };
  const contact = known ?? contacts.create(incoming.email, at);
  setValues(contact, incoming, at);
  for (const list of incoming.subscribe) {
    const status = contact.membership(list)?.status;
    if (status === UNSUBSCRIBED || status === ACTIVE || !account.lists.has(list)) continue;
    contacts.setMembership(contact, list, ACTIVE, at);
  }
  for (const list of incoming.unsubscribe) {
    if (contact.membership(list)?.status === UNSUBSCRIBED || !account.lists.has(list)) continue;
    contacts.setMembership(contact, list, UNSUBSCRIBED, at);
  }
  return optedOut ? { failed: true } : { failed: false, created: known === undefined, contact };
}

function spelled(email: string, { settings }: Account): string {
  return settings.failureSpelling === 'lower-case' ? email.toLowerCase() : email;
}

function isNeverImported(account: Account, { email, key, subscribe }: ImportContact): boolean {
  return (
    // The vendor's own example of a failure is invalid'character@example.com.
    key.includes("'") ||
    (account.settings.unicodeDomains === 'fail' && hasUnicodeDomain(email)) ||
    account.contacts.isBounced(key) ||
    account.exclusions.excludes(key, subscribe) ||
    account.addressRules.find(key, 'later') !== undefined ||
    (account.settings.unknownList === 'fails' && subscribe.some((list) => !account.lists.has(list)))
  );
}

function setValues(contact: Contact, incoming: ImportContact, at: number): void {
  contact.assign(incoming);
  for (const { id, value } of incoming.fields) contact.setField(id, value);
  for (const tag of incoming.tags) contact.addTag(tag);
  contact.imports += 1;
  if (!incoming.excludeAutomations) contact.automations += 1;
  contact.updatedAt = at;
}
