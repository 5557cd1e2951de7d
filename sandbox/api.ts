import type { Account } from './account.js';
import type { FaultAction } from './faults.js';
import type { Call } from './journal.js';
import { errors, html, HTML_TYPE, json, MAINTENANCE_PAGE, NOT_FOUND_PAGE, type Reply } from './reply.js';
import { findRoute } from './routes/table.js';

/** A call of the API that has arrived whole. */
export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly host: string;
  readonly key: string | undefined;
  readonly body: Buffer;
}

/** Whether only half of an answer is sent, and how it ends. */
export type Half = 'no' | 'broken' | 'cleanly';

/** What goes onto the wire: an answer (whole or half of it, now or later), a broken connection, or nothing at all. */
export type Outcome =
  | { readonly call: Call; readonly kind: 'reply'; reply: Reply; half: Half; delayMs: number }
  | { readonly call: Call; readonly kind: 'reset' }
  | { readonly call: Call; readonly kind: 'hang' };

/**
 * Answers one call in the order in which the real thing's layers stand: the edge and its faults, the account's host,
 * the key, the quota for all routes, the route. Faults of the `after` sort strike when the call has had its effect.
 */
export function answerCall(account: Account, request: ApiRequest): Outcome {
  account.clock.advance();
  const found = findRoute(request.method, request.path);
  const call = account.journal.arrived({
    at: account.clock.now(),
    method: request.method,
    path: request.path,
    query: request.query,
    kind: found?.route.kind ?? 'unknown',
  });
  if (call.kind === 'importer' && account.settings.keepBodies) call.body = request.body.toString('utf8');
  const fault = account.faults.strike(call, request.body);
  if (fault !== undefined) call.fault = fault.type;
  const instead = fault === undefined ? undefined : answerInstead(account, call, fault);
  if (instead !== undefined) return instead;

  const reply = passGates(
    account,
    request,
    call,
    found === undefined
      ? undefined
      : (quotaHeaders) => {
          const query = new URLSearchParams(request.query);
          const answer = found.route.handle({
            account,
            call,
            body: request.body,
            query,
            id: found.id,
            fault,
          });
          return { ...answer, headers: { ...quotaHeaders, ...answer.headers } };
        },
  );
  if (fault?.type === 'reset' || fault?.type === 'hang') {
    loseReceipt(account, call);
    return { call, kind: fault.type };
  }
  if (fault?.type === 'truncate') {
    loseReceipt(account, call);
    return { call, kind: 'reply', reply, half: fault.cleanly === true ? 'cleanly' : 'broken', delayMs: 0 };
  }
  return { call, kind: 'reply', reply, half: 'no', delayMs: fault?.type === 'slow' ? fault.delayMs : 0 };
}

/** The caller never saw the receipt of this call: sending again is no fault of his. */
export function loseReceipt(account: Account, call: Call): void {
  const batch = call.kind === 'importer' ? account.batches.get(call.batchId ?? '') : undefined;
  if (batch !== undefined) batch.excuse = 'receipt lost';
}

function passGates(
  account: Account,
  request: ApiRequest,
  call: Call,
  handle: ((quotaHeaders: Record<string, string>) => Reply) | undefined,
): Reply {
  if (account.hosts !== undefined && !account.hosts.includes(request.host.toLowerCase())) return redirect();
  if (!account.knows(request.key)) return json(403, { message: 'Forbidden' });
  const { allowed, limit, remaining } = account.quotas.takeRequest(
    account.clock.now(),
    call.kind === 'importer',
  );
  const quotaHeaders = { 'ratelimit-limit': String(limit), 'ratelimit-remaining': String(remaining) };
  if (!allowed) {
    call.quota = 'second';
    return tooMany(account.settings.retryAfterSeconds, quotaHeaders);
  }
  if (handle !== undefined) return handle(quotaHeaders);
  return request.host.includes('activehosted.com')
    ? html(404, NOT_FOUND_PAGE)
    : json(404, { message: 'Not Found' });
}

/** Faults that keep the call from having any effect, and those that change the account before it is looked at. */
function answerInstead(account: Account, call: Call, fault: FaultAction): Outcome | undefined {
  const reply = (answer: Reply): Outcome => ({
    call,
    kind: 'reply',
    reply: answer,
    half: 'no',
    delayMs: 0,
  });
  switch (fault.type) {
    case 'answer':
      return reply(scriptedAnswer(fault));
    case 'rate-limit': {
      const limit = String(account.settings.requestsPerSecond);
      const headers = { 'ratelimit-limit': limit, 'ratelimit-remaining': '0' };
      return reply(tooMany(fault.retryAfterSeconds ?? account.settings.retryAfterSeconds, headers));
    }
    case 'html':
      return reply(html(fault.status ?? 200, MAINTENANCE_PAGE));
    case 'redirect':
      return reply(redirect(fault.location));
    case 'reset':
    case 'hang':
      return fault.when === 'before' ? { call, kind: fault.type } : undefined;
    case 'delete-list':
      account.deleteList(fault.list);
      return undefined;
    case 'revoke-key':
      account.revokeKey(fault.key);
      return undefined;
    case 'truncate':
    case 'slow':
    case 'quota':
    case 'refuse':
    case 'batch':
    case 'withhold':
      return undefined;
  }
}

function scriptedAnswer(fault: Extract<FaultAction, { type: 'answer' }>): Reply {
  const usual = usualAnswer(fault.status);
  const retryAfter = fault.retryAfterSeconds;
  return {
    status: fault.status,
    body: fault.body ?? usual.body,
    contentType: fault.contentType ?? usual.contentType,
    headers: retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) },
  };
}

/** A body that fits a status: what is recorded of it, or the page of the edge. */
function usualAnswer(status: number): Reply {
  switch (status) {
    case 401:
      return errors(401, { status: '401', title: 'Unauthorized' });
    case 402:
      return json(402, { message: 'Payment Required' });
    case 403:
      return json(403, { message: 'Forbidden' });
    default:
      return status >= 500 ? html(status, MAINTENANCE_PAGE) : json(status, {});
  }
}

function tooMany(retryAfterSeconds: number, headers: Record<string, string>): Reply {
  // Its body is unknown, and not to be relied on.
  return json(
    429,
    { message: 'Too Many Requests' },
    { 'retry-after': String(retryAfterSeconds), ...headers },
  );
}

function redirect(location = 'https://www.activecampaign.com/login/'): Reply {
  const page = `<html><head><title>302 Found</title></head><body><a href="${location}">Found</a></body></html>`;
  return { status: 302, body: page, contentType: HTML_TYPE, headers: { location } };
}
