import type { EntityManager } from 'typeorm';

/** Where the data lies: in one file for one process, or in a Postgres for as many as wanted. */
export type DatabaseAddress =
  { readonly kind: 'sqlite'; readonly file: string } | { readonly kind: 'postgres'; readonly url: string };

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
 * What is read in a transaction holds until its end: nobody else writes meanwhile who could make it untrue. On SQLite that
 * is so because one transaction goes on at a time. On Postgres, across all processes, those that name no lane are alone,
 * and those that name one go beside others of other lanes: so a lane must hold everything that its transactions read in
 * order to write.
 *
 * Parameters of raw statements are `$1, $2, …` in the order of their first appearance.
 */
export interface Database {
  readonly reader: EntityManager;
  /**
   * For plain SQL that reads thousands of rows, page by page: those who ask the server something would else wait behind
   * it, on SQLite, which works one statement of a connection at a time, as for a free connection to Postgres.
   */
  readonly scanner: Scanner;
  /**
   * Runs `work` in a transaction and answers what it answers. Never wait for the network inside.
   * @param lane see lanes.ts; without one the transaction is alone.
   */
  readonly transact: <T>(work: (transaction: Transaction) => Promise<T>, lane?: string) => Promise<T>;
  /** Waits for what is under way, then closes. */
  readonly close: () => Promise<void>;
}

/** Carries out plain SQL. */
export type Scanner = Pick<EntityManager, 'query' | 'connection'>;
