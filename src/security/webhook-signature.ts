import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** What a signature vouches for. */
export interface SignedCall {
  readonly id: string;
  /** Seconds since 1970, as the header has them. */
  readonly timestamp: string;
  /** The bytes as they came: parsed and written again, JSON would differ. */
  readonly body: Buffer;
}

const PREFIX = 'whsec_';
const SECRET_BYTES = 32;
const SCHEME = 'v1,';
/** One for each secret that a sender may be changing between, and some to spare. */
const MAX_SIGNATURES = 10;

/** A new secret, as Standard Webhooks writes them: a prefix, and 32 random bytes in base64. */
export function newWebhookSecret(): string {
  return PREFIX + randomBytes(SECRET_BYTES).toString('base64');
}

/**
 * Whether one of the signatures in the header is made with the secret (Standard Webhooks, *Signature scheme*:
 * HMAC-SHA256 of `id.timestamp.body`, `v1,` and base64, several divided by spaces). However wrong they are, it takes as
 * long. The timestamp is not looked at.
 */
export function isSignedWith(secret: string, { id, timestamp, body }: SignedCall, header: string): boolean {
  const key = Buffer.from(secret.slice(PREFIX.length), 'base64');
  const expected = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest();
  let isSigned = false;
  for (const signature of header.split(' ', MAX_SIGNATURES)) {
    const given = Buffer.from(signature.startsWith(SCHEME) ? signature.slice(SCHEME.length) : '', 'base64');
    // Lengths are no secret; contents are compared in constant time.
    if (given.length === expected.length && timingSafeEqual(given, expected)) isSigned = true;
  }
  return isSigned;
}
