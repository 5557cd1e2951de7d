import type { ClientBase } from 'pg';
import { DatabaseError } from 'pg';
import type { Database, Scanner } from '../database.js';
import { copyTable, readBack, type Contents } from './copy-table.js';
import { MoveError } from './move-error.js';
import { sizeOf } from './read-pages.js';
import { assertEmpty } from './target.js';
import { quoted, type MovedTable } from './tables.js';

export interface MoveStep {
  readonly phase: 'copying' | 'verifying';
  readonly table: string;
  /** Of this table, and in this phase. */
  readonly rows: number;
  readonly of: number;
}

/** What was moved, table by table. */
export type Moved = readonly (Contents & { readonly table: string })[];

export interface Move {
  /** A SQLite file that nobody else writes to. */
  readonly source: Database;
  /** A Postgres with the same tables. */
  readonly target: Database;
  readonly tables: readonly MovedTable[];
  /** Cancels it; heard until the commit begins. */
  readonly signal: AbortSignal;
  readonly onStep: (step: MoveStep) => void;
}

/**
 * Copies everything from a SQLite file into an empty Postgres, in one transaction there: whatever ends it, also the end
 * of the process, leaves Postgres as empty as it was. Before the commit, Postgres writes out what it holds, and that must
 * be the same, byte for byte and row by row, as what was read.
 * @throws {MoveError} if the target has rows, a value cannot be held, or something arrived otherwise than it was sent.
 * @throws the signal's reason, if it aborted in time.
 */
export async function moveDatabase(move: Move): Promise<Moved> {
  const { source, target, tables, signal } = move;
  // One view of the file for all pages, whoever writes meanwhile.
  await source.scanner.query('BEGIN');
  try {
    return await target.transact(async ({ manager }) => {
      // TypeORM has no COPY; its connection has.
      const client = (await manager.queryRunner?.connect()) as ClientBase;
      await assertEmpty(client, tables);
      const read: Read[] = [];
      for (const table of tables) read.push(await carryOver(move, client, table));
      for (const contents of read) await verify(move, client, contents);
      signal.throwIfAborted();
      return read.map(({ table: { name }, rows, checksum }) => ({ table: name, rows, checksum }));
    });
  } finally {
    await source.scanner.query('ROLLBACK');
  }
}

/** What was read of a table in SQLite. */
interface Read extends Contents {
  readonly table: MovedTable;
  /** How many rows SQLite says there are. */
  readonly counted: number;
}

async function carryOver(
  { source: { scanner }, signal, onStep }: Move,
  client: ClientBase,
  table: MovedTable,
): Promise<Read> {
  if (table.filledByMigrations) await client.query(`DELETE FROM "${table.name}"`);
  const size = await sizeOf(scanner, table);
  const tell = (rows: number) => {
    onStep({ phase: 'copying', table: table.name, rows, of: size.rows });
  };
  try {
    const contents = await copyTable({ source: scanner, client, signal }, table, size, tell);
    await countOn(scanner, client, table);
    return { ...contents, table, counted: size.rows };
  } catch (error: unknown) {
    throw refusalOf(table, error);
  }
}

/** @throws {MoveError} if Postgres holds anything else than was read. */
async function verify({ signal, onStep }: Move, client: ClientBase, read: Read): Promise<void> {
  signal.throwIfAborted();
  const { name } = read.table;
  // Statistics: the first server would else plan its statements for empty tables.
  await client.query(`ANALYZE "${name}"`);
  const held = await readBack(client, read.table, (rows) => {
    onStep({ phase: 'verifying', table: name, rows, of: read.rows });
  });
  const isWhole = read.rows === read.counted && held.rows === read.rows;
  if (isWhole && held.checksum === read.checksum) return;
  const difference = isWhole
    ? 'what was read and what Postgres holds have different checksums'
    : `SQLite has ${read.counted} rows, ${read.rows} were read, Postgres holds ${held.rows}`;
  throw new MoveError(
    `The table ${name} did not arrive as it is: ${difference}. Nothing was kept.`,
    'Look for a trigger or a rule in the target database that changes rows, and whether its encoding is UTF8; then call this again.',
  );
}

/** Postgres counts on from where SQLite was, also where the last rows are gone: their ids are never given again. */
async function countOn(source: Scanner, client: ClientBase, { name, counted }: MovedTable): Promise<void> {
  if (counted === undefined) return;
  const [last] = await source.query<{ seq: number }[]>(
    'SELECT "seq" FROM sqlite_sequence WHERE "name" = $1',
    [name],
  );
  if (last === undefined) return;
  const { rows } = await client.query<{ sequence: string }>(
    'SELECT pg_get_serial_sequence($1, $2) AS "sequence"',
    [`"${name}"`, counted],
  );
  // Unlike setval, this goes with the transaction.
  for (const { sequence } of rows)
    await client.query(`ALTER SEQUENCE ${sequence} RESTART WITH ${last.seq + 1}`);
}

/**
 * Data exceptions and violated constraints, by the classes of Postgres's error codes. The row is told by its place alone:
 * the message of COPY would show the person in it.
 */
function refusalOf(table: MovedTable, error: unknown): unknown {
  if (!(error instanceof DatabaseError) || !/^2[23]/.test(error.code ?? '')) return error;
  const [, line, column] = /line (\d+)(?:, column (\w+))?/.exec(error.where ?? '') ?? [];
  const place = column === undefined ? '' : ` in the column ${column}`;
  const search = `SELECT * FROM "${table.name}" ORDER BY ${quoted(table.key)} LIMIT 1 OFFSET ${Number(line ?? 1) - 1}`;
  return new MoveError(
    `Postgres does not take a row of ${table.name}${place}: ${error.message}.`,
    `Correct it in the SQLite file (${search} shows it), or what the message names in Postgres, and call this again.`,
    { cause: error },
  );
}
