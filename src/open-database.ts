import type { DataSourceOptions } from 'typeorm';
import type { Database, DatabaseAddress } from './database.js';
import { openPostgres } from './postgres-database.js';
import { openSqlite } from './sqlite-database.js';

export type DataModel = Pick<DataSourceOptions, 'entities' | 'migrations'>;

/**
 * Opens the database and brings its tables up to date.
 * @throws if it cannot be reached, opened or written.
 */
export function openDatabase(address: DatabaseAddress, model: DataModel): Promise<Database> {
  return address.kind === 'sqlite' ? openSqlite(address.file, model) : openPostgres(address.url, model);
}
