import pg from 'pg';
import { cpuSecondsOfFamily, parentOf } from './cpu.js';

/** What a Postgres has done and holds so far. */
export interface PostgresFigures {
  readonly walBytes: number;
  /** Of the whole server; null: it is on another machine, or this system does not tell. */
  readonly cpuSeconds: number | null;
  /** In this database, those that wrote nothing included. */
  readonly commits: number;
  /** Heap and indexes. */
  readonly ledgerBytes: number;
  readonly memberBytes: number;
  readonly profileBytes: number;
  /** That the server's process holds at the moment. */
  readonly connections: number;
  /** Updates of ledger entries, and those among them that left the indexes as they were. */
  readonly ledgerUpdates: number;
  readonly hotUpdates: number;
}

const SQL = `SELECT
  pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS "walBytes",
  (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()) AS "commits",
  pg_total_relation_size('ledger_entries') AS "ledgerBytes",
  pg_total_relation_size('segment_members') AS "memberBytes",
  pg_total_relation_size('profiles') AS "profileBytes",
  (SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'sluice') AS "connections",
  (SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'ledger_entries') AS "ledgerUpdates",
  (SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'ledger_entries') AS "hotUpdates",
  pg_backend_pid() AS "pid", inet_server_addr() = inet_client_addr() AS "isHere"`;

/** Asks a database of the server; null: it is none of Postgres. */
export async function postgresFigures(url: string): Promise<PostgresFigures | null> {
  if (!url.startsWith('postgres')) return null;
  const client = new pg.Client(url);
  await client.connect();
  try {
    const { rows } = await client.query<Record<string, unknown>>(SQL);
    const { pid, isHere, ...figures } = rows[0] ?? {};
    // Each connection's process is a child of the one that everything began with.
    const server = isHere === true ? parentOf(Number(pid)) : undefined;
    const numbers = Object.entries(figures).map(([name, value]) => [name, Number(value)]);
    return {
      ...(Object.fromEntries(numbers) as Omit<PostgresFigures, 'cpuSeconds'>),
      cpuSeconds: server === undefined ? null : cpuSecondsOfFamily(server),
    };
  } finally {
    await client.end();
  }
}
