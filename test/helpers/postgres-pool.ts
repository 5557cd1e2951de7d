import pg from 'pg';
import { noteStart, noteStop } from './leaks.js';
import { createPostgresDatabase, type PostgresDatabase } from './postgres.js';

/** Used before, and as good as new. The tests of a file come one after the other: seldom are there more than a few. */
const emptied: PostgresDatabase[] = [];

afterAll(() => Promise.all(emptied.splice(0).map((database) => database.drop())));

/** A database for a test: one that an earlier test of this file has given back, or a new one. */
export async function takeDatabase(): Promise<PostgresDatabase> {
  const database = emptied.pop();
  if (database === undefined) return createPostgresDatabase();
  noteStart(database, 'a Postgres database');
  return database;
}

/** Ends its connections, and keeps it for the next test if it can be made as it was. */
export async function giveBack(database: PostgresDatabase): Promise<void> {
  noteStop(database);
  if (await restore(database.url)) emptied.push(database);
  else await database.drop();
}

async function restore(url: string): Promise<boolean> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    // Waits for each to have ended, with all that it had begun.
    await client.query(
      `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`,
    );
    const { rows } = await client.query<{ restore: boolean }>('SELECT pristine.restore()');
    return rows[0]?.restore === true;
  } finally {
    await client.end();
  }
}
