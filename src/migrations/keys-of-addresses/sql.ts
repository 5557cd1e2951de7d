import type { QueryRunner } from 'typeorm';
import { isPostgres } from '../portable-tables.js';

export type Row = Readonly<Record<string, unknown>>;

/** Rows that one statement reads, or writes: they are in memory, as parameters of a statement. */
export const PAGE = 1_000;

/** SQLite looks each named parameter up among all of a statement: many take a multiple of the time. */
const MAX_PARAMETERS = 350;

/** True of texts in which a letter is not ASCII. */
export function hasOtherLetters(runner: QueryRunner, column: string): string {
  return isPostgres(runner)
    ? `octet_length(${column}) <> char_length(${column})`
    : `length(CAST(${column} AS BLOB)) <> length(${column})`;
}

/** True of texts that contain the parameter. */
export function contains(runner: QueryRunner, column: string, parameter: string): string {
  return `${isPostgres(runner) ? 'strpos' : 'instr'}(${column}, ${parameter}) > 0`;
}

/** @returns the rows that a query finds. */
export async function select<T extends object>(
  runner: QueryRunner,
  sql: string,
  parameters: unknown[] = [],
): Promise<T[]> {
  return (await runner.query(sql, parameters)) as T[];
}

/** Writes rows, all with the same columns. */
export async function insertRows(runner: QueryRunner, table: string, rows: readonly Row[]): Promise<void> {
  const [first] = rows;
  if (first === undefined) return;
  const columns = Object.keys(first);
  const atOnce = Math.floor(MAX_PARAMETERS / columns.length);
  for (let from = 0; from < rows.length; from += atOnce) {
    const parameters: unknown[] = [];
    const tuples = rows.slice(from, from + atOnce).map((row) => {
      const places = columns.map((column) => `$${parameters.push(row[column])}`);
      return `(${places.join(', ')})`;
    });
    await runner.query(`INSERT INTO "${table}" (${quoted(columns)}) VALUES ${tuples.join(', ')}`, parameters);
  }
}

export function quoted(columns: readonly string[]): string {
  return columns.map((column) => `"${column}"`).join(', ');
}
