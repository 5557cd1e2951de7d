import { type CallContext, isRecord } from '../call-context.js';
import { type FailureReason, readPayload, validateImport } from '../importer.js';
import { acceptBatch, pollBatch } from '../processing.js';
import { HTML_TYPE, json, type Reply } from '../reply.js';
import type { Settings } from '../settings.js';
import { localDay } from '../time.js';

/** The three importer routes answer JSON under a type that is none: so it was recorded. */
function importerReply(settings: Settings, status: number, body: unknown): Reply {
  const reply = json(status, body);
  return settings.answers === 'recorded' ? { ...reply, contentType: HTML_TYPE } : reply;
}

/** `POST /import/bulk_import` */
export function bulkImport({ account, call, body, fault }: CallContext): Reply {
  const { settings, quotas, clock } = account;
  const read = readPayload(body);
  call.contacts = 'contacts' in read ? read.contacts.length : 0;

  const single = call.contacts === 1;
  if (fault?.type === 'quota') return quotaExceeded(settings, single);
  if (!quotas.takeImport(clock.now(), single)) {
    call.quota = single ? 'minute-single' : 'minute';
    return quotaExceeded(settings, single);
  }

  const refuse = (reasons: FailureReason[]): Reply => {
    const blamed = 'contacts' in read ? blamedAddresses(read.contacts, reasons) : [];
    account.refusedBatches.push({ at: call.at, contacts: call.contacts ?? 0, reasons, blamed });
    return notQueued(settings, reasons);
  };
  if ('reasons' in read) return refuse(read.reasons);
  if (fault?.type === 'refuse') {
    const { reason = "Field 'email' incorrect format", contacts = [1], named = true } = fault;
    return refuse(named ? contacts.map((contact) => ({ contact, failureReason: reason })) : [reason]);
  }
  const request = validateImport(read.payload, read.contacts, account);
  if ('reasons' in request) return refuse(request.reasons);

  const batch = acceptBatch(account, request, fault);
  call.batchId = batch.id;
  const rest = { queued_contacts: batch.size, batchId: batch.id, message: 'Contact import queued' };
  return importerReply(
    settings,
    200,
    settings.answers === 'recorded' ? { success: 1, ...rest } : { Success: 1, ...rest },
  );
}

function blamedAddresses(contacts: readonly unknown[], reasons: readonly FailureReason[]): string[] {
  const places = reasons.flatMap((reason) => (typeof reason === 'string' ? [] : [reason.contact]));
  const blamed = contacts.length === 1 ? contacts : places.map((place) => contacts[place - 1]);
  return blamed.flatMap((contact) =>
    isRecord(contact) && typeof contact.email === 'string' ? [contact.email] : [],
  );
}

/** `GET /import/info?batchId=` */
export function importInfo({ account, call, query }: CallContext): Reply {
  const batchId = query.get('batchId');
  if (batchId === null || batchId === '') {
    return importerReply(account.settings, 400, { success: 0, message: "'batchId' is a required field." });
  }
  call.batchId = batchId;
  const batch = account.batches.get(batchId);
  // What an unknown batchId is answered nobody has published; "nothing known yet" fits.
  const info = batch === undefined ? { status: false, success: [], failure: [] } : pollBatch(account, batch);
  return importerReply(account.settings, 200, info);
}

/** `GET /import/bulk_import`: the whole backlog, added up by day. */
export function importBacklog({ account }: CallContext): Reply {
  const { settings, batches, clock } = account;
  const weekAgo = clock.now() - 7 * 24 * 3_600_000;
  const outstanding = new Map<string, { batches: number; contacts: number }>();
  const completed = new Map<string, { batches: number; contacts: number }>();
  for (const batch of batches.values()) {
    if (batch.end !== undefined && batch.dueAt < weekAgo) continue;
    const days = batch.end === undefined ? outstanding : completed;
    const day = localDay(batch.end === undefined ? batch.acceptedAt : batch.dueAt, settings.utcOffsetMinutes);
    const sum = days.get(day) ?? { batches: 0, contacts: 0 };
    days.set(day, { batches: sum.batches + 1, contacts: sum.contacts + batch.size });
  }
  const rows = (days: typeof outstanding) =>
    [...days].map(([forDate, sum]) => ({
      forDate,
      batches: String(sum.batches),
      contacts: String(sum.contacts),
    }));
  return importerReply(settings, 200, { outstanding: rows(outstanding), recentlyCompleted: rows(completed) });
}

function quotaExceeded(settings: Settings, single: boolean): Reply {
  const limit = single ? settings.singleImportsPerMinute : settings.importsPerMinute;
  return importerReply(settings, 400, {
    success: 0,
    message: 'Rate limit exceeded.',
    failureReasons: [
      // The missing space is the vendor's.
      `Up to ${limit} imports may be requested per minute.Please batch contacts into larger requests, or retry this request in a minute.`,
    ],
  });
}

function notQueued(settings: Settings, reasons: FailureReason[]): Reply {
  const documented = settings.answers === 'documented';
  const noun = documented ? 'failure Reasons' : 'failureReasons';
  const message = `JSON payload did not pass validation. Please fix ${noun} and retry. The import was not queued for processing.`;
  const failureReasons = documented ? reasons.map(inPrintedQuotes) : reasons;
  return importerReply(settings, 400, { success: 0, message, failureReasons });
}

/** The documentation prints `Field‘ email’ …`, curly and with the space on the wrong side. */
function inPrintedQuotes(reason: FailureReason): FailureReason {
  if (typeof reason === 'string') return reason;
  return { ...reason, failureReason: reason.failureReason.replace(/ '(\w+)'/, '‘ $1’') };
}
