import pg from 'pg';
import type { ClientBase } from 'pg';
import { describeAddress } from '../config.js';
import { describeError } from '../errors.js';
import { MoveError } from './move-error.js';
import type { MovedTable } from './tables.js';

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Looks at a database before its tables are made or brought up to date: what is refused is left as it is.
 * @throws {MoveError} if it cannot be reached, or holds anything in tables of these names.
 */
export async function assertUsable(url: string, tables: readonly MovedTable[]): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'sluice move',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  // What ends it meanwhile makes its queries fail; without a listener it would end the process.
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error: unknown) {
    throw new MoveError(
      `${describeAddress({ kind: 'postgres', url })} cannot be reached: ${reasonOf(error)}.`,
      'Check the address, the name of the database (CREATE DATABASE makes one) and the password.',
      { cause: error },
    );
  }
  try {
    const existing: MovedTable[] = [];
    for (const table of tables) if (await exists(client, table.name)) existing.push(table);
    const [stranger] = existing;
    if (stranger !== undefined && !(await exists(client, 'migrations'))) {
      throw notEmpty(`a table ${stranger.name} that is not of Sluice`);
    }
    await assertEmpty(client, existing);
  } finally {
    await client.end();
  }
}

/** @throws {MoveError} if one of the tables has rows. */
export async function assertEmpty(client: ClientBase, tables: readonly MovedTable[]): Promise<void> {
  for (const { name } of tables.filter((table) => !table.filledByMigrations)) {
    const { rowCount } = await client.query(`SELECT FROM "${name}" LIMIT 1`);
    if (rowCount !== 0) throw notEmpty(`rows in ${name}`);
  }
}

async function exists(client: ClientBase, table: string): Promise<boolean> {
  const { rowCount } = await client.query('SELECT WHERE to_regclass($1) IS NOT NULL', [`"${table}"`]);
  return rowCount === 1;
}

function notEmpty(what: string): MoveError {
  return new MoveError(
    `The target is not empty: it has ${what}.`,
    'Only an empty database is moved into. Make one (CREATE DATABASE …) and give its address; a server that was started on this one by mistake has written there, too.',
  );
}

/** Where a name has several addresses, each attempt has an error of its own, and the whole has no message. */
function reasonOf(error: unknown): string {
  return error instanceof AggregateError ? error.errors.map(describeError).join(', ') : describeError(error);
}
