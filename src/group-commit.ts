import type { DataSource, EntityManager } from 'typeorm';

/** Pieces of work that share a commit at most: a long queue still acknowledges often. */
const MAX_GROUP = 32;

/**
 * TypeORM's BEGIN takes no lock: a transaction that reads first, while somebody with another tool writes, could then not
 * write any more (SQLITE_BUSY_SNAPSHOT, at once). A statement that could write waits for its turn; this one changes nothing.
 */
const TAKE_LOCK = 'UPDATE "migrations" SET "name" = "name" WHERE FALSE';

interface Waiting {
  /** Does the work in a savepoint of its own; never throws. */
  readonly perform: (outer: EntityManager) => Promise<void>;
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

  const inSavepoint = async <T>(outer: EntityManager, work: (manager: EntityManager) => Promise<T>) => {
    await outer.query('SAVEPOINT "piece"');
    try {
      const result = await work(outer);
      await outer.query('RELEASE "piece"');
      return result;
    } catch (error: unknown) {
      await outer.query('ROLLBACK TO "piece"');
      await outer.query('RELEASE "piece"');
      throw error;
    }
  };

  const commitGroup = async () => {
    const group: Waiting[] = [];
    try {
      await source.transaction(async (outer) => {
        await outer.query(TAKE_LOCK);
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
          group.push(next);
          await next.perform(outer);
          if (group.length === MAX_GROUP) break;
        }
      });
    } catch (error: unknown) {
      for (const { refuse } of group) refuse(error);
      return;
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
          const result = await inSavepoint(outer, work);
          acknowledge = () => {
            try {
              committed();
              told.resolve(result);
            } catch (error: unknown) {
              told.reject(error);
            }
          };
        } catch (error: unknown) {
          acknowledge = () => {
            told.reject(error);
          };
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
