import type { Account } from './account.js';
import type { FaultAction } from './faults.js';
import type { Call } from './journal.js';

/** What a route is given to answer one call. */
export interface CallContext {
  readonly account: Account;
  readonly call: Call;
  readonly body: Buffer;
  readonly query: URLSearchParams;
  /** The `:id` of the path, as it was written. */
  readonly id: string;
  /** The fault that strikes this call, for routes that carry it out themselves. */
  readonly fault: FaultAction | undefined;
}

/** The body as a JSON object; undefined if it is none. */
export function bodyObject(body: Buffer): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'));
    return isRecord(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `?limit=` and `?offset=`: 20 unless told, 100 at most. */
export function paging(query: URLSearchParams): { limit: number; offset: number } {
  const limit = wholeNumber(query.get('limit')) ?? 20;
  return { limit: Math.min(limit, 100), offset: wholeNumber(query.get('offset')) ?? 0 };
}

/** Digits as a number; undefined for anything else. */
export function wholeNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : undefined;
  if (typeof value !== 'string' || !/^\d{1,15}$/.test(value)) return undefined;
  return Number(value);
}
