import { TriggerAuthentication } from '../entities/trigger.js';
import { BadInputError, UnauthenticatedError } from '../errors.js';
import type { Proof } from './trigger-secrets.js';

/** The headers that count. */
export interface CallHeaders {
  readonly webhookId: string | undefined;
  readonly timestamp: string | undefined;
  readonly signatures: string | undefined;
  readonly authorization: string | undefined;
}

/** A call as it came in, not yet believed. */
export interface IncomingCall {
  readonly triggerId: string;
  /** The network address that it came from. */
  readonly address: string;
  readonly headers: CallHeaders;
  readonly body: Buffer;
}

const WEBHOOK_ID = /^[!-~]{1,200}$/;
const DIGITS = /^\d{1,12}$/;
const TOLERANCE_SECONDS = 300;
const BEARER = /^Bearer +(\S+) *$/i;

/**
 * Reads who the caller claims to be and how it proves that. What is said here is the same for every trigger, existing or
 * not.
 * @throws {BadInputError} for headers that are missing or cannot be read; {UnauthenticatedError} for a call that is older or
 *   younger than five minutes: it may be a copy of somebody else's.
 */
export function readHeaders(
  { headers, body }: Pick<IncomingCall, 'headers' | 'body'>,
  nowMs: number,
): { webhookId: string | undefined; proof: Proof } {
  const { webhookId, timestamp, signatures, authorization } = headers;
  if (signatures === undefined && authorization !== undefined) {
    const token = BEARER.exec(authorization)?.[1];
    if (token === undefined) {
      throw refusal('authorization', 'The Authorization header is not of the form "Bearer <secret>".');
    }
    if (webhookId !== undefined) assertId(webhookId);
    return { webhookId, proof: { kind: TriggerAuthentication.BEARER, token } };
  }
  if (webhookId === undefined) throw refusal('webhook-id', 'The header webhook-id is missing.');
  assertId(webhookId);
  if (timestamp === undefined) throw refusal('webhook-timestamp', 'The header webhook-timestamp is missing.');
  // Digits alone: what parsers take from "123abc" differs from what was signed.
  if (!DIGITS.test(timestamp)) {
    throw refusal('webhook-timestamp', 'The header webhook-timestamp has something else than digits.');
  }
  if (signatures === undefined)
    throw refusal('webhook-signature', 'The header webhook-signature is missing.');
  if (Math.abs(nowMs / 1_000 - Number(timestamp)) > TOLERANCE_SECONDS) {
    throw new UnauthenticatedError(
      'The webhook-timestamp is more than five minutes away from the time of this server.',
      'Sign each attempt with the present time, in whole seconds since 1970, and set the clock of the caller.',
      'webhook-timestamp',
    );
  }
  return {
    webhookId,
    proof: { kind: TriggerAuthentication.SIGNATURE, call: { id: webhookId, timestamp, body }, signatures },
  };
}

/** A dot divides what is signed: with one in the id, a signature could be read in two ways. */
function assertId(webhookId: string): void {
  if (WEBHOOK_ID.test(webhookId) && !webhookId.includes('.')) return;
  throw refusal(
    'webhook-id',
    'The header webhook-id is not 1 to 200 visible ASCII characters without a dot.',
  );
}

function refusal(field: string, message: string): BadInputError {
  return new BadInputError(
    field,
    message,
    'Send webhook-id, webhook-timestamp and webhook-signature (standardwebhooks.com), or Authorization: Bearer for a BEARER trigger.',
  );
}

/**
 * What the body asks for. It may be empty; what is not known is passed over, because callers send events of their own.
 * @throws {BadInputError} for what is no JSON object.
 */
export function readBody(body: Buffer): { force: boolean } {
  if (body.length === 0) return { force: false };
  const parsed = parseJson(body);
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new BadInputError('body', 'The body is no JSON object.', 'Send {"force": true}, {} or nothing.');
  }
  const { force = false } = parsed as { force?: unknown };
  if (typeof force === 'boolean') return { force };
  throw new BadInputError(
    'force',
    'force is neither true nor false.',
    'Send {"force": true}, or leave it out.',
  );
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as unknown;
  } catch {
    return undefined;
  }
}
