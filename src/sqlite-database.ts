import { AsyncLocalStorage } from 'node:async_hooks';
import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import sqlite3 from 'sqlite3';
import { DataSource, type DataSourceOptions } from 'typeorm';
import type { Database } from './database.js';
import { createWriter } from './group-commit.js';
import { quietSqlite } from './quiet-sqlite.js';

/** How long a statement waits for another process that holds the file's lock. */
const BUSY_TIMEOUT_MS = 10_000;
const CACHE_KIB = 8 * 1024;

/**
 * Opens the SQLite file (made if missing) and brings its tables up to date.
 *
 * Why every write goes through `transact`: TypeORM's SQLite driver shares one connection. Two transactions at once fail
 * there, and a plain insert made beside somebody else's transaction is swept away by its rollback although it was
 * acknowledged. So `transact` queues, and reads use connections of their own, read-only, which see committed rows alone
 * (WAL).
 * @throws if the file cannot be opened or written.
 */
export async function openSqlite(
  file: string,
  model: Pick<DataSourceOptions, 'entities' | 'migrations'>,
): Promise<Database> {
  mkdirSync(dirname(file), { recursive: true });
  // The file holds people's data: for its owner alone. SQLite gives the files beside it the same mode.
  closeSync(openSync(file, 'a', 0o600));
  chmodSync(file, 0o600);
  const writer = new DataSource({
    type: 'sqlite',
    database: file,
    driver: quietSqlite,
    enableWAL: true,
    ...model,
  });
  await writer.initialize();
  // FULL: a commit that was answered survives a power cut. NORMAL would lose the last ones in WAL mode.
  await configure(writer, 'PRAGMA synchronous = FULL', `PRAGMA cache_size = -${CACHE_KIB}`);
  await writer.runMigrations({ transaction: 'each' });

  const reading = await openForReading(file, model.entities);
  const scanning = await openForReading(file, []);

  const write = createWriter(writer);
  const inside = new AsyncLocalStorage<true>();

  return {
    reader: reading.manager,
    scanner: scanning.manager,

    transact: async (work) => {
      // A transaction inside a transaction would wait for itself for ever.
      if (inside.getStore())
        throw new Error('transact was called inside a transaction; pass the transaction on');
      const effects: (() => void)[] = [];
      return write(
        (manager) => inside.run(true, () => work({ manager, afterCommit: (effect) => effects.push(effect) })),
        () => {
          for (const effect of effects) effect();
        },
      );
    },

    close: async () => {
      await write.idle();
      await reading.destroy();
      await scanning.destroy();
      await writer.destroy();
    },
  };
}

async function openForReading(file: string, entities: DataSourceOptions['entities']): Promise<DataSource> {
  const source = new DataSource({
    type: 'sqlite',
    database: file,
    driver: quietSqlite,
    flags: sqlite3.OPEN_READONLY,
    entities,
  });
  await source.initialize();
  await configure(source, 'PRAGMA query_only = ON', `PRAGMA cache_size = -${CACHE_KIB}`);
  return source;
}

async function configure(source: DataSource, ...pragmas: string[]): Promise<void> {
  await source.query(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
  for (const pragma of pragmas) await source.query(pragma);
}
