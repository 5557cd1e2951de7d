import { readFileSync } from 'node:fs';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { dataModel } from '../../src/server/data-model.js';
import { databaseIn, DATABASE_KIND, emptyDatabaseIn } from './databases.js';

/** The last migration of version 0.1.0. */
const LAST_MIGRATION = 'WhereARefreshWasAskedFor1795536000000';

/** The rows of one table, as SQLite stores them. */
interface Rows {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number | null)[])[];
}

/** The tables of a database that a server of version 0.1.0 left behind when it was killed. */
export interface OldDatabase {
  readonly tables: Readonly<Record<string, Rows>>;
}

/** The key that the server had, for `SLUICE_SECRET_KEY`. */
export const OLD_SECRET_KEY = Buffer.alloc(32, 7).toString('base64');

/** Reads the rows that a fixture holds. The file says in `test/fixtures/README.md` how it was made. */
export function readOldDatabase(): OldDatabase {
  return JSON.parse(readFileSync('test/fixtures/database-0.1.0.json', 'utf8')) as OldDatabase;
}

/** The values of some columns of a table, row by row. */
export function valuesOf(
  { tables }: OldDatabase,
  table: string,
  columns: readonly string[],
): (string | number | null)[][] {
  const { columns: names = [], rows = [] } = tables[table] ?? {};
  return rows.map((row) => columns.map((column) => row[names.indexOf(column)] ?? null));
}

/**
 * Stores the rows in the database of a data folder, in the tables of version 0.1.0: the next start of a server is an upgrade.
 * @param changes statements that adapt the rows to the test before the server starts.
 */
export async function storeOldDatabase(
  folder: string,
  { tables }: OldDatabase,
  changes: readonly { readonly sql: string; readonly parameters: unknown[] }[] = [],
): Promise<void> {
  await emptyDatabaseIn(folder);
  const address = await databaseIn(folder);
  const last = dataModel.migrations.findIndex(({ name }) => name === LAST_MIGRATION);
  const source = new DataSource({
    migrations: dataModel.migrations.slice(0, last + 1),
    ...(address.kind === 'sqlite'
      ? { type: 'sqlite', database: address.file }
      : { type: 'postgres', url: address.url }),
  } satisfies DataSourceOptions);
  await source.initialize();
  try {
    await source.runMigrations({ transaction: 'each' });
    for (const [table, rows] of Object.entries(tables)) await insert(source, table, rows);
    for (const { sql, parameters } of changes) await source.query(sql, parameters);
  } finally {
    await source.destroy();
  }
}

async function insert(source: DataSource, table: string, { columns, rows }: Rows): Promise<void> {
  const names = columns.map((column) => `"${column}"`).join(', ');
  const values = columns.map((_, index) => `$${index + 1}`).join(', ');
  await source.transaction(async (manager) => {
    // The migrations may have written rows of their own, which the fixture holds too.
    await manager.query(`DELETE FROM "${table}"`);
    for (const row of rows) {
      await manager.query(`INSERT INTO "${table}" (${names}) VALUES (${values})`, [...row]);
    }
    if (DATABASE_KIND === 'postgres' && columns.includes('id')) {
      const [{ sequence }] = await manager.query<[{ sequence: string | null }]>(
        'SELECT pg_get_serial_sequence($1, $2) AS "sequence"',
        [`"${table}"`, 'id'],
      );
      if (sequence === null) return;
      await manager.query(`SELECT setval($1, (SELECT MAX("id") FROM "${table}"))`, [sequence]);
    }
  });
}
