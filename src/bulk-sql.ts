import type { EntityManager } from 'typeorm';

/**
 * Large work is set-based SQL: rows travel as one JSON parameter and become a table inside the statement. The forms
 * that differ between databases live here and nowhere else.
 */

/**
 * A table expression over a JSON array of arrays bound to `parameter` (`$1`…), one column for each name:
 * `SELECT … FROM ${jsonTable('$1', ['id', 'name'])} AS rows`.
 */
export function jsonTable(parameter: string, columns: readonly string[]): string {
  const picked = columns.map((column, index) => `value ->> ${index} AS "${column}"`);
  return `(SELECT ${picked.join(', ')} FROM json_each(${parameter}))`;
}

/** One item of a JSON array in a text column. */
export function jsonItem(column: string, index: number): string {
  return `${column} ->> ${index}`;
}

/** A JSON array, as text, of SQL expressions. */
export function jsonArray(items: readonly string[]): string {
  return `json_array(${items.join(', ')})`;
}

/** A text column that holds JSON, as a part of the JSON around it. */
export function jsonText(column: string): string {
  return `json(${column})`;
}

/**
 * Rows as one JSON text, `[[…],…]`, in the order of a column: made into rows and columns by the driver, many would take
 * twice as long.
 */
export function jsonRows(items: readonly string[], orderedBy: string): string {
  return `'[' || COALESCE(group_concat(${jsonArray(items)}, ',' ORDER BY ${orderedBy}), '') || ']'`;
}

/** A list for `IN (…)` over a JSON array of strings bound to `parameter`. */
export function jsonList(parameter: string): string {
  return `(SELECT value FROM json_each(${parameter}))`;
}

/**
 * Runs a statement that changes rows, inside a transaction.
 * @returns how many rows it changed.
 */
export async function execute(manager: EntityManager, sql: string, parameters: unknown[]): Promise<number> {
  if (manager.queryRunner === undefined) throw new Error('execute needs the manager of a transaction');
  const result = await manager.queryRunner.query(sql, parameters, true);
  return result.affected ?? 0;
}

/** Orders as the database's BINARY collation does: by the bytes of UTF-8, which JavaScript's `<` does not. */
export function compareUtf8(a: string, b: string): number {
  // Code units and bytes agree until a surrogate pair (U+10000 and up) meets U+E000…U+FFFF.
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at += 1) {
    const left = a.charCodeAt(at);
    const right = b.charCodeAt(at);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

function rank(codeUnit: number): number {
  const isSurrogate = codeUnit >= 0xd800 && codeUnit <= 0xdfff;
  return isSurrogate ? codeUnit + 0x10000 : codeUnit;
}
