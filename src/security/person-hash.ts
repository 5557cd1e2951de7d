import { createHmac, createSecretKey, randomBytes } from 'node:crypto';
import { execute } from '../bulk-sql.js';
import type { Database } from '../database.js';
import { HashKey } from '../entities/removal.js';
import type { Logger } from '../logger.js';
import { SealedTextError, type SecretBox } from './secret-box.js';

/**
 * A keyed hash (HMAC-SHA-256, base64url) of the parts: the same for the same parts, and nobody can tell from it what was
 * hashed, not even by trying every address, without the key. The first part says what the hash is for.
 */
export type HashPerson = (...parts: readonly string[]) => string;

const KEY_BYTES = 32;
const PLACE = { table: 'hash_keys', row: 'persons', column: 'sealedKey' } as const;

const KEY_UNREADABLE =
  'the key of stored hashes cannot be opened, so removals are neither noted nor recognized: start with the SLUICE_SECRET_KEY that sealed it';

/**
 * Opens the hash key, which the first start makes. Of several processes that start at once one makes it, and all use it.
 * Unlike the secret key it is never replaced: `npm run rotate-keys` seals it anew.
 * @returns undefined if this process cannot open it; the log says so.
 */
export async function loadPersonHash({
  database,
  secretBox,
  logger,
}: {
  readonly database: Database;
  readonly secretBox: SecretBox;
  readonly logger: Logger;
}): Promise<HashPerson | undefined> {
  const find = () => database.reader.findOneBy(HashKey, { id: PLACE.row });
  if ((await find()) === null) {
    const sealedKey = secretBox.seal(randomBytes(KEY_BYTES).toString('base64'), PLACE);
    await database.transact(({ manager }) =>
      execute(
        manager,
        'INSERT INTO "hash_keys" ("id", "sealedKey") VALUES ($1, $2) ON CONFLICT ("id") DO NOTHING',
        [PLACE.row, sealedKey],
      ),
    );
  }
  const stored = await find();
  try {
    return hashWith(secretBox.open(stored?.sealedKey ?? '', PLACE));
  } catch (error: unknown) {
    if (!(error instanceof SealedTextError)) throw error;
    logger.warn({ why: error.message }, KEY_UNREADABLE);
    return undefined;
  }
}

/** @param key in base64. */
export function hashWith(key: string): HashPerson {
  const secret = createSecretKey(key, 'base64');
  // JSON, because plain joining would let ("a", "bc") and ("ab", "c") look the same.
  return (...parts) => createHmac('sha256', secret).update(JSON.stringify(parts)).digest('base64url');
}
