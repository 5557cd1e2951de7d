import { MoveError } from './move-error.js';
import type { MovedColumn, MovedTable } from './tables.js';

/** A row as SQLite answers it. */
export type StoredRow = Readonly<Record<string, unknown>>;

/** https://www.postgresql.org/docs/current/sql-copy.html, "Text Format": what it writes with a backslash in front. */
const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
};
const SPECIAL = /[\\\b\f\n\r\t\v]/g;
/** Few texts have one, and most of all are looked at. */
const SPECIAL_OR_NUL = /[\0\\\b\f\n\r\t\v]/;
const NULL = '\\N';

/**
 * A row as a line of COPY, byte for byte as Postgres itself would write it: so one checksum of what was read and of what
 * Postgres holds can be compared.
 * @throws {MoveError} if a value is none that Postgres can hold in its column.
 */
export function copyLine(table: MovedTable, row: StoredRow): string {
  const fields = table.columns.map((column) => {
    const value = row[column.name];
    if (value === null) return NULL;
    if (typeof value === 'number') return column.isFlag ? flagText(table, column, row) : String(value);
    if (typeof value !== 'string' || column.isFlag)
      throw unfit(table, column, row, 'has a value of another kind');
    if (!SPECIAL_OR_NUL.test(value)) return value;
    if (value.includes('\0'))
      throw unfit(table, column, row, 'has a NUL character, which Postgres cannot hold');
    return value.replace(SPECIAL, (character) => ESCAPES[character] ?? character);
  });
  return `${fields.join('\t')}\n`;
}

function flagText(table: MovedTable, column: MovedColumn, row: StoredRow): string {
  const value = row[column.name];
  if (value === 0) return 'f';
  if (value === 1) return 't';
  throw unfit(table, column, row, 'is neither 0 nor 1');
}

function unfit(table: MovedTable, column: MovedColumn, row: StoredRow, why: string): MoveError {
  const condition = table.key.map((name) => `"${name}" = ${literal(row[name])}`).join(' AND ');
  return new MoveError(
    `The column ${column.name} of a row in ${table.name} ${why}: ${condition}.`,
    `Correct it in the SQLite file, for example with UPDATE "${table.name}" SET "${column.name}" = … WHERE ${condition}, and call this again.`,
  );
}

function literal(value: unknown): string {
  if (typeof value === 'number') return String(value);
  return `'${String(value).replaceAll("'", "''").replaceAll('\0', '␀')}'`;
}
