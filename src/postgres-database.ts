import { AsyncLocalStorage } from 'node:async_hooks';
import pg from 'pg';
import { DataSource, type DataSourceOptions, type QueryRunner } from 'typeorm';
import type { Database, Transaction } from './database.js';
import { createTurnstile } from './turnstile.js';

/** Connections of one process, each kind for itself: whoever waits for a lock keeps nobody from reading. */
const CONNECTIONS = { writing: 6, reading: 6, scanning: 3 };

/**
 * A process that is frozen or cut off in the middle of a transaction keeps its locks; Postgres ends the transaction after
 * so long. Much longer than any of ours waits between two statements.
 */
const IDLE_IN_TRANSACTION_MS = 10_000;
/** Longer than any transaction of ours; then something is wrong, and it is better to say so. */
const LOCK_TIMEOUT_MS = 60_000;
const CONNECT_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_AFTER_MS = 10_000;

/** A write that went past `transact` would be a bug. */
const READ_ONLY = ' -c default_transaction_read_only=on';

/**
 * Statements on large tables go by keys, page by page, and are to do so whatever the statistics say: those come a minute
 * after the rows, and until then Postgres takes a ledger for small, and sorts or hashes all of it for each page. SQLite has
 * no other plans than these.
 */
const BY_KEYS =
  '-c enable_seqscan=off -c enable_bitmapscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off';

/** Names of our advisory locks: the first half says that they are ours. */
const LOCKS = 0x53_4c;
const EVERYTHING = 1;
const MIGRATIONS = 2;

/** bigint: what COUNT and SUM answer. None of ours is beyond what a number holds exactly. */
const INT8 = pg.types.builtins.INT8;

/**
 * Opens a Postgres database and brings its tables up to date.
 *
 * Which transactions go on at the same time, in all processes, is decided by advisory locks, taken first of all and held
 * until the commit: who names a lane shares the lock of everything and takes that of the lane; who names none takes the
 * lock of everything alone. Isolation is READ COMMITTED: under these locks nothing that is read changes.
 * @throws if it cannot be reached, or its tables cannot be brought up to date.
 */
export async function openPostgres(
  url: string,
  model: Pick<DataSourceOptions, 'entities' | 'migrations'>,
): Promise<Database> {
  const { entities } = model;
  const writing = sourceOf(url, CONNECTIONS.writing, model, BY_KEYS);
  const reading = sourceOf(url, CONNECTIONS.reading, { entities }, BY_KEYS + READ_ONLY);
  const scanning = sourceOf(url, CONNECTIONS.scanning, {}, BY_KEYS + READ_ONLY);
  const opened: DataSource[] = [];
  const closeAll = () => Promise.all(opened.map((source) => source.destroy()));
  try {
    for (const source of [writing, reading, scanning]) opened.push(await source.initialize());
    await oneAtATime(url, () => writing.runMigrations({ transaction: 'each' }));
  } catch (error: unknown) {
    await closeAll();
    throw error;
  }

  const inside = new AsyncLocalStorage<true>();
  const turnstile = createTurnstile();

  const perform = async <T>(
    work: (transaction: Transaction) => Promise<T>,
    lane: string | undefined,
  ): Promise<{ result: T; effects: (() => void)[] }> => {
    const effects: (() => void)[] = [];
    const runner = writing.createQueryRunner();
    try {
      await runner.startTransaction();
      await takeLocks(runner, lane);
      const { manager } = runner;
      const result = await inside.run(true, () =>
        work({ manager, afterCommit: (effect) => effects.push(effect) }),
      );
      await runner.commitTransaction();
      return { result, effects };
    } catch (error: unknown) {
      // The connection may be the very thing that broke.
      if (runner.isTransactionActive) await runner.rollbackTransaction().catch(() => undefined);
      throw error;
    } finally {
      await runner.release();
    }
  };

  return {
    reader: reading.manager,
    scanner: scanning.manager,

    transact: async (work, lane) => {
      // A transaction inside a transaction would wait for itself for ever.
      if (inside.getStore())
        throw new Error('transact was called inside a transaction; pass the transaction on');
      const { result, effects } = await turnstile.pass(lane ?? '', () => perform(work, lane));
      for (const effect of effects) effect();
      return result;
    },

    close: async () => {
      await turnstile.idle();
      await closeAll();
    },
  };
}

async function takeLocks(runner: QueryRunner, lane: string | undefined): Promise<void> {
  if (lane === undefined) await runner.query('SELECT pg_advisory_xact_lock($1, $2)', [LOCKS, EVERYTHING]);
  else {
    // Two lanes whose names have the same hash wait for each other; they would not have to.
    await runner.query(
      'SELECT pg_advisory_xact_lock_shared($1, $2), pg_advisory_xact_lock(hashtextextended($3, $1))',
      [LOCKS, EVERYTHING, lane],
    );
  }
}

function sourceOf(
  url: string,
  poolSize: number,
  model: Partial<DataSourceOptions>,
  options?: string,
): DataSource {
  return new DataSource({
    ...(model as object),
    type: 'postgres',
    url,
    poolSize,
    applicationName: 'sluice',
    connectTimeoutMS: CONNECT_TIMEOUT_MS,
    extra: {
      types: { getTypeParser },
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_AFTER_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
      lock_timeout: LOCK_TIMEOUT_MS,
      options,
    },
  });
}

const getTypeParser: typeof pg.types.getTypeParser = (oid, format) =>
  oid === INT8 ? Number : (pg.types.getTypeParser(oid, format) as unknown);

/** Several processes may start at once: only one of them changes tables, and the others find that it is done. */
async function oneAtATime(url: string, work: () => Promise<unknown>): Promise<void> {
  // A connection of its own: the lock must outlast the transactions of the migrations.
  const client = new pg.Client({ connectionString: url, application_name: 'sluice migrations' });
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock($1, $2)', [LOCKS, MIGRATIONS]);
    await work();
  } finally {
    await client.end();
  }
}
