import { createHash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

const PREFIX = 'slu_';
const RANDOM_BYTES = 32;
const CHECKSUM_BYTES = 4;
/** 32 random bytes are 43 characters of base64url, the checksum is 6. */
const TOKEN = /^(slu_[\w-]{43})([\w-]{6})$/;

/**
 * A new token: the prefix by which secret scanners know it, 32 random bytes and a checksum, so that a token that was
 * mistyped or cut short is told from one that was never issued.
 */
export function newToken(): string {
  const body = PREFIX + randomBytes(RANDOM_BYTES).toString('base64url');
  return body + checksum(body);
}

/** Whether the text begins like a token of ours but was mistyped or cut short. */
export function isGarbledToken(text: string): boolean {
  if (!text.startsWith(PREFIX)) return false;
  const [, body, sum] = TOKEN.exec(text) ?? [];
  return body === undefined || checksum(body) !== sum;
}

/** SHA-256, hexadecimal. Tokens are long and random, so a fast hash is as good as a slow one. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

function checksum(body: string): string {
  const bytes = Buffer.alloc(CHECKSUM_BYTES);
  bytes.writeUInt32BE(crc32(body));
  return bytes.toString('base64url');
}
