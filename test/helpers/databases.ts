import { existsSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { openDatabase } from '../../src/open-database.js';
import type { Database, DatabaseAddress } from '../../src/database.js';
import { dataModel } from '../../src/server/data-model.js';
import { giveBack, takeDatabase } from './postgres-pool.js';
import type { PostgresDatabase } from './postgres.js';

/** On which database the tests of this jest project work (jest.config.js). */
export const DATABASE_KIND =
  (globalThis as { SLUICE_DATABASE?: DatabaseAddress['kind'] }).SLUICE_DATABASE ?? 'sqlite';

/** By the data folder that they belong to, so that a server can be started again on it. */
const postgresDatabases = new Map<string, Promise<PostgresDatabase>>();

/** The database that belongs to a data folder; made when it is first asked for. */
export async function databaseIn(folder: string): Promise<DatabaseAddress> {
  if (DATABASE_KIND === 'sqlite') return { kind: 'sqlite', file: join(folder, 'sluice.db') };
  const database = postgresDatabases.get(folder) ?? takeDatabase();
  postgresDatabases.set(folder, database);
  return { kind: 'postgres', url: (await database).url };
}

/** The same, without tables. */
export async function emptyDatabaseIn(folder: string): Promise<DatabaseAddress> {
  const address = await databaseIn(folder);
  if (address.kind === 'postgres') {
    await using source = await connectIn(folder, dataModel);
    for (let left = dataModel.migrations.length; left > 0; left -= 1) await source.undoLastMigration();
  }
  return address;
}

/** The settings that make a server work with the database of a data folder. */
export async function settingsFor(
  folder: string,
): Promise<{ DATABASE_URL: string; SLUICE_DATA_FOLDER: string }> {
  const address = await databaseIn(folder);
  return {
    DATABASE_URL: address.kind === 'sqlite' ? `sqlite:${address.file}` : address.url,
    SLUICE_DATA_FOLDER: folder,
  };
}

/** Opens the database of a data folder, as another process would. */
export async function openIn(folder: string): Promise<Database & AsyncDisposable> {
  const database = await openDatabase(await databaseIn(folder), dataModel);
  return Object.assign(database, { [Symbol.asyncDispose]: () => database.close() });
}

/** Opens a new database with the tables that it had after one of the migrations, to be upgraded later. */
export async function openUntil(folder: string, lastMigration: string): Promise<Database> {
  const last = dataModel.migrations.findIndex(({ name }) => name === lastMigration);
  const migrations = dataModel.migrations.slice(0, last + 1);
  return openDatabase(await emptyDatabaseIn(folder), { entities: [], migrations });
}

/** A plain connection, for what no server would do. */
export async function connectIn(
  folder: string,
  model: Partial<DataSourceOptions> = {},
): Promise<DataSource & AsyncDisposable> {
  const address = await databaseIn(folder);
  const source = new DataSource({
    ...(model as object),
    ...(address.kind === 'sqlite'
      ? { type: 'sqlite', database: address.file }
      : { type: 'postgres', url: address.url }),
  });
  await source.initialize();
  return Object.assign(source, { [Symbol.asyncDispose]: () => source.destroy() });
}

/** Changes rows behind the server's back, as a bug or a person with a database tool would. @returns how many. */
export async function tamper(folder: string, sql: string): Promise<number> {
  await using source = await connectIn(folder);
  const runner = source.createQueryRunner();
  const { affected } = await runner.query(sql, [], true);
  await runner.release();
  return affected ?? 0;
}

/** Everything that lies in the database, as text in which anything readable can be found. */
export async function storedIn(folder: string): Promise<string> {
  if (DATABASE_KIND === 'sqlite') {
    const names = (await readdir(folder)).filter((name) => name.startsWith('sluice.db'));
    const files = await Promise.all(names.map((name) => readFile(join(folder, name))));
    return files.map((bytes) => bytes.toString('latin1')).join('');
  }
  await using source = await connectIn(folder);
  const tables = await source.query<{ name: string }[]>(
    `SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables
     WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`,
  );
  const rows = await Promise.all(tables.map(({ name }) => source.query<unknown[]>(`SELECT * FROM ${name}`)));
  return JSON.stringify(rows);
}

/** For what only a SQLite file has. */
export const onSqlite = DATABASE_KIND === 'sqlite' ? it : it.skip;
/** For what only Postgres has. */
export const onPostgres = DATABASE_KIND === 'postgres' ? it : it.skip;

/** Takes the database of a data folder away, and leaves what lies beside it. */
export async function loseDatabase(folder: string): Promise<void> {
  const names = existsSync(folder) ? await readdir(folder) : [];
  for (const name of names) if (name.startsWith('sluice.db')) await rm(join(folder, name), { force: true });
  const database = await postgresDatabases.get(folder);
  postgresDatabases.delete(folder);
  if (database !== undefined) await giveBack(database);
}

/** Removes a data folder, if it is still there, and what belongs to it elsewhere. */
export async function removeFolder(folder: string): Promise<void> {
  await loseDatabase(folder);
  await rm(folder, { recursive: true, force: true });
}
