import { AsyncLocalStorage } from 'node:async_hooks';
import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import sqlite3 from 'sqlite3';
import { DataSource, type DataSourceOptions, type EntityManager } from 'typeorm';
import { createWriter } from './group-commit.js';
import { quietSqlite } from './quiet-sqlite.js';

/** An open transaction. Everything written in it stands or falls together. */
export interface Transaction {
  readonly manager: EntityManager;
  /** Runs `effect` once the transaction is durable, and never if it rolls back: ring bells and publish from here. */
  readonly afterCommit: (effect: () => void) => void;
}

/**
 * The database as the rest of the code sees it: reads go to `reader` or, if they are long, to `scanner`; every write goes
 * through `transact`.
 *
 * Why every write: TypeORM's SQLite driver shares one connection. Two transactions at once fail there, and a plain
 * insert made beside somebody else's transaction is swept away by its rollback although it was acknowledged. So
 * `transact` queues, and reads use a second connection, read-only, which sees committed rows alone (WAL).
 * Postgres users of the raw statements: parameters are `$1, $2, …` in the order of their first appearance, which SQLite
 * understands as well.
 */
export interface Database {
  readonly reader: EntityManager;
  /**
   * For plain SQL that reads thousands of rows, page by page. SQLite works one statement of a connection at a time: on the
   * `reader`'s, those who ask the server something would wait behind it.
   */
  readonly scanner: Scanner;
  /** Runs `work` in a transaction and answers what it answers. Never wait for the network inside. */
  readonly transact: <T>(work: (transaction: Transaction) => Promise<T>) => Promise<T>;
  /** Waits for what is under way, then closes. */
  readonly close: () => Promise<void>;
}

/** Carries out plain SQL. */
export type Scanner = Pick<EntityManager, 'query'>;

type DataModel = Pick<DataSourceOptions, 'entities' | 'migrations'>;

/** How long a statement waits for another process that holds the file's lock. */
const BUSY_TIMEOUT_MS = 10_000;
const CACHE_KIB = 8 * 1024;

/**
 * Opens the SQLite file (made if missing) and brings its tables up to date.
 * @throws if the file cannot be opened or written.
 */
export async function openDatabase(file: string, model: DataModel): Promise<Database> {
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

async function openForReading(file: string, entities: DataModel['entities']): Promise<DataSource> {
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

/** Whether the error says that a unique index refused the row: somebody else was first. */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof Error && error.message.includes('UNIQUE constraint failed');
}
