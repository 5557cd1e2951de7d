import type { Database as Connection } from 'sqlite3';
import type { DataSource, EntityManager } from 'typeorm';

/** Pieces of work that share a commit at most: a long queue still acknowledges often. */
const MAX_GROUP = 32;

/**
 * TypeORM's own BEGIN takes no lock: a transaction that reads first, while somebody with another tool writes, could then
 * not write any more (SQLITE_BUSY_SNAPSHOT, at once). IMMEDIATE waits for its turn.
 */
const BEGIN = 'BEGIN IMMEDIATE; SAVEPOINT "piece"';
const NEXT_PIECE = 'RELEASE "piece"; SAVEPOINT "piece"';
/** The savepoint stays, as it was when the piece began. */
const UNDO_PIECE = 'ROLLBACK TO "piece"';
const COMMIT = 'RELEASE "piece"; COMMIT';

interface Waiting {
  /** Does the work in the savepoint, and answers whether it stands; never throws. */
  readonly perform: (outer: EntityManager) => Promise<boolean>;
  /** The commit is durable: tells the caller what became of the work. */
  readonly acknowledge: () => void;
  /** Nothing of the group was written. */
  readonly refuse: (error: unknown) => void;
}

/** Runs pieces of work on the one connection that writes, in order of arrival, each as if it were alone. */
export type Writer = <T>(work: (manager: EntityManager) => Promise<T>, committed: () => void) => Promise<T>;

/**
 * Makes the writer of a SQLite file.
 *
 * A durable commit waits for the disk, some milliseconds, whatever it commits. So what queued up while one commit was
 * under way shares the next: each piece of work runs in a savepoint, rolls back alone if it fails, and is acknowledged
 * only when the commit of all is durable.
 * @returns a writer; `committed` runs before the caller is told, and never after a rollback.
 */
export function createWriter(source: DataSource): Writer & { readonly idle: () => Promise<void> } {
  const waiting: Waiting[] = [];
  let draining: Promise<void> = Promise.resolve();
  let isDraining = false;

  const commitGroup = async () => {
    const group: Waiting[] = [];
    const runner = source.createQueryRunner();
    try {
      const connection = (await runner.connect()) as Connection;
      try {
        await script(connection, BEGIN);
        // TypeORM would else begin a transaction of its own for what it saves.
        Object.assign(runner, { isTransactionActive: true });
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
          if (group.length > 0) await script(connection, NEXT_PIECE);
          group.push(next);
          if (!(await next.perform(runner.manager))) await script(connection, UNDO_PIECE);
          if (group.length === MAX_GROUP) break;
        }
        await script(connection, COMMIT);
      } catch (error: unknown) {
        // What failed may have left the transaction open, and nobody could begin another; if not, there is nothing to roll back.
        await script(connection, 'ROLLBACK').catch(() => undefined);
        throw error;
      }
    } catch (error: unknown) {
      // Nothing could even begin: whoever is first is told, so that nobody waits for ever.
      if (group.length === 0) group.push(...waiting.splice(0, 1));
      for (const { refuse } of group) refuse(error);
      return;
    } finally {
      Object.assign(runner, { isTransactionActive: false });
    }
    for (const { acknowledge } of group) acknowledge();
  };

  const drain = async () => {
    isDraining = true;
    while (waiting.length > 0) await commitGroup();
    isDraining = false;
  };

  const write: Writer = <T>(work: (manager: EntityManager) => Promise<T>, committed: () => void) => {
    const told = Promise.withResolvers<T>();
    let acknowledge: (() => void) | undefined;
    waiting.push({
      perform: async (outer) => {
        try {
          const result = await work(outer);
          acknowledge = () => {
            try {
              committed();
              told.resolve(result);
            } catch (error: unknown) {
              told.reject(error);
            }
          };
          return true;
        } catch (error: unknown) {
          acknowledge = () => {
            told.reject(error);
          };
          return false;
        }
      },
      acknowledge: () => acknowledge?.(),
      refuse: told.reject,
    });
    if (!isDraining) draining = drain();
    return told.promise;
  };

  return Object.assign(write, { idle: () => draining });
}

/** Several statements without parameters on one way to the driver's thread and back. */
function script(connection: Connection, sql: string): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.exec(sql, (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}
