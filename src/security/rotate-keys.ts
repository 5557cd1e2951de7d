import { execute } from '../bulk-sql.js';
import type { Database } from '../database.js';
import { SealedTextError, type SecretBox, type SecretPlace } from './secret-box.js';

/** Every column that holds sealed texts, and in which rows; `id` is the key of all these tables. */
const SEALED_COLUMNS: readonly (Pick<SecretPlace, 'table' | 'column'> & { readonly where?: string })[] = [
  { table: 'connections', column: 'sealedApiKey' },
  { table: 'hash_keys', column: 'sealedKey' },
  // Of a trigger whose callers send the secret itself, only its hash is kept.
  { table: 'triggers', column: 'secret', where: `"authentication" = 'SIGNATURE'` },
  { table: 'triggers', column: 'previousSecret', where: `"authentication" = 'SIGNATURE'` },
];

export interface Rotation {
  /** Rows that were sealed anew. */
  readonly resealed: number;
  /** Rows that were sealed by the first key already. */
  readonly current: number;
  /** Rows that none of the keys opens, and why. They stay as they are. */
  readonly unreadable: readonly (SecretPlace & { readonly reason: string })[];
}

/**
 * Seals everything anew under the first key. Each row is a transaction of its own that replaces one readable text by
 * another: ended at any point, every row can be read with the same keys, and the next call goes on. A row that somebody
 * changes meanwhile is left to them: the server seals with the first key as well.
 * @param onProgress called after each row, with how many were looked at.
 */
export async function rotateKeys(
  { database, secretBox }: { readonly database: Database; readonly secretBox: SecretBox },
  onProgress: (rows: number) => void = () => undefined,
): Promise<Rotation> {
  const unreadable: (SecretPlace & { reason: string })[] = [];
  let [resealed, current] = [0, 0];
  for (const { table, column, where = 'TRUE' } of SEALED_COLUMNS) {
    const rows = await database.reader.query<{ id: string; sealed: string }[]>(
      `SELECT "id", "${column}" AS "sealed" FROM "${table}" WHERE "${column}" IS NOT NULL AND ${where} ORDER BY "id"`,
    );
    for (const { id, sealed } of rows) {
      const place = { table, row: id, column };
      try {
        // Opened also where nothing is to be done: a row that cannot be read is worth knowing of.
        const plain = secretBox.open(sealed, place);
        if (secretBox.isCurrent(sealed)) {
          current += 1;
        } else {
          resealed += await replace(database, place, sealed, secretBox.seal(plain, place));
        }
      } catch (error: unknown) {
        if (!(error instanceof SealedTextError)) throw error;
        unreadable.push({ ...place, reason: error.message });
      }
      onProgress(resealed + current + unreadable.length);
    }
  }
  return { resealed, current, unreadable };
}

async function replace(
  database: Database,
  { table, row, column }: SecretPlace,
  before: string,
  after: string,
): Promise<number> {
  return database.transact(({ manager }) =>
    execute(manager, `UPDATE "${table}" SET "${column}" = $1 WHERE "id" = $2 AND "${column}" = $3`, [
      after,
      row,
      before,
    ]),
  );
}
