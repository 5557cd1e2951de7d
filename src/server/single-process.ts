import { DataSource } from 'typeorm';
import { quietSqlite } from '../quiet-sqlite.js';
import { describeError } from '../errors.js';

/** Another server has the file. */
export class DatabaseInUseError extends Error {
  constructor(databaseFile: string, options?: ErrorOptions) {
    super(
      `Another Sluice works with ${databaseFile}. Stop it first, or choose another DATABASE_URL.`,
      options,
    );
    this.name = 'DatabaseInUseError';
  }
}

/**
 * Makes this process the only server of a SQLite file, and answers how to give that up.
 *
 * The queue of a SQLite server lives in its process: a second one, started by mistake, would take up the same runs and
 * clear away imports that are under way. An exclusive lock on a file beside the database keeps it out; the operating
 * system lets go of it however the process ends.
 * @throws {DatabaseInUseError} if another server has it.
 * @throws if the folder cannot be written.
 */
export async function claimDatabase(databaseFile: string): Promise<() => Promise<void>> {
  const lock = new DataSource({
    type: 'sqlite',
    database: `${databaseFile}.lock`,
    driver: quietSqlite,
  });
  await lock.initialize();
  try {
    await lock.query('BEGIN EXCLUSIVE');
  } catch (error: unknown) {
    await lock.destroy();
    if (!describeError(error).includes('SQLITE_BUSY')) throw error;
    throw new DatabaseInUseError(databaseFile, { cause: error });
  }
  return () => lock.destroy();
}
