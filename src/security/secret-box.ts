import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

/** Where a sealed text is kept. It opens there and nowhere else, so that a copy in another row is worthless. */
export interface SecretPlace {
  readonly table: string;
  readonly row: string;
  readonly column: string;
}

/** Keeps secrets at rest unreadable without the secret key, and shows every change made to them. */
export interface SecretBox {
  seal(plain: string, place: SecretPlace): string;
  /** @throws {SealedTextError} if the text was not sealed here, for this place, by a key we still have. */
  open(sealed: string, place: SecretPlace): string;
  /** Whether the text was sealed by the first key, so that it needs none of the others. */
  isCurrent(sealed: string): boolean;
}

/** A sealed text that cannot be opened; the message says why and contains nothing secret. */
export class SealedTextError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SealedTextError';
  }
}

const VERSION = 'v1';
const CIPHER = 'aes-256-gcm';
/** 96 bits, the length that GCM is made for (NIST SP 800-38D, 5.2.1.1). */
const IV_BYTES = 12;
/** Said explicitly when opening: Node would otherwise accept tags that were cut down to four bytes. */
const TAG_BYTES = 16;
/** version . key id . iv . ciphertext and tag */
const SEALED = /^v1\.([0-9a-f]{8})\.([\w-]{16})\.([\w-]{22,})$/;

/**
 * @param keys 32 bytes each, base64. The first seals; all of them open, so a key is replaced by putting the new one in
 *   front of it.
 */
export function createSecretBox(keys: readonly string[]): SecretBox {
  const ring = keys.map((key) => Buffer.from(key, 'base64')).map((key) => ({ id: keyId(key), key }));
  const [sealing] = ring;
  if (sealing === undefined) throw new Error('A secret box needs at least one key.');

  return {
    seal: (plain, place) => {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv(CIPHER, sealing.key, iv, { authTagLength: TAG_BYTES });
      cipher.setAAD(associatedData(place));
      const body = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]);
      return [VERSION, sealing.id, iv.toString('base64url'), body.toString('base64url')].join('.');
    },

    isCurrent: (sealed) => SEALED.exec(sealed)?.[1] === sealing.id,

    open: (sealed, place) => {
      const [, id = '', ivText = '', bodyText = ''] = SEALED.exec(sealed) ?? [];
      const iv = fromBase64url(ivText);
      const body = fromBase64url(bodyText);
      if (iv === undefined || body === undefined) throw new SealedTextError('This is no sealed text.');
      const opening = ring.find((candidate) => candidate.id === id);
      if (opening === undefined) {
        throw new SealedTextError(
          `The text was sealed with the secret key ${id}, which this server has not.`,
        );
      }
      const decipher = createDecipheriv(CIPHER, opening.key, iv, { authTagLength: TAG_BYTES });
      decipher.setAAD(associatedData(place));
      decipher.setAuthTag(body.subarray(-TAG_BYTES));
      try {
        return decipher.update(body.subarray(0, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
      } catch {
        throw new SealedTextError('The sealed text was changed, or belongs to another place.');
      }
    },
  };
}

/** Names a key without giving it away: the first 8 hexadecimal digits of its SHA-256. */
function keyId(key: Buffer): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 8);
}

/** JSON, because plain joining would let ("a", "bc") and ("ab", "c") look the same. */
function associatedData(place: SecretPlace): Buffer {
  return Buffer.from(JSON.stringify([VERSION, place.table, place.row, place.column]));
}

/** Undefined for text that base64url would not have written: its last character has spare bits that decoding drops. */
function fromBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.length > 0 && bytes.toString('base64url') === text ? bytes : undefined;
}
