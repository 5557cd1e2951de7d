import type { Database } from '../database.js';
import { Connection } from '../entities/connection.js';
import { IsNull, Not } from 'typeorm';
import { SealedTextError, type SecretBox } from './secret-box.js';

/**
 * Whether this process has the key that sealed what lies in the database: each of several processes makes its own if none
 * is given, and then reads only what it sealed itself.
 * @returns what is wrong; undefined: nothing, or there is nothing to try.
 */
export async function problemWithKeys(
  { reader }: Pick<Database, 'reader'>,
  secretBox: SecretBox,
): Promise<string | undefined> {
  const [latest] = await reader.find(Connection, {
    where: { sealedApiKey: Not(IsNull()) },
    order: { updatedAt: 'DESC' },
    take: 1,
  });
  if (!latest?.sealedApiKey) return undefined;
  try {
    secretBox.open(latest.sealedApiKey, { table: 'connections', row: latest.id, column: 'sealedApiKey' });
    return undefined;
  } catch (error: unknown) {
    if (error instanceof SealedTextError) return error.message;
    throw error;
  }
}
