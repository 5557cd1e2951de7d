/** Of what kind a column is that comes as JSON. */
export type ColumnType = 'text' | 'integer' | 'boolean';

/**
 * Large work is set-based SQL: rows travel as one JSON parameter and become a table inside the statement. These are the
 * forms that differ between databases; nothing else does.
 */
export interface Dialect {
  /**
   * A table expression over a JSON array of arrays bound to `parameter` (`$1`…), one column for each name:
   * `SELECT … FROM ${sql.table('$1', { id: 'text', age: 'integer' })} AS "rows"`.
   */
  readonly table: (parameter: string, columns: Readonly<Record<string, ColumnType>>) => string;
  /** A list for `IN (…)` over a JSON array bound to `parameter`; its one column is called `value`. */
  readonly list: (parameter: string, type?: ColumnType) => string;
  /** One item of a JSON array in a text column, as text. */
  readonly item: (column: string, index: number) => string;
  /** A JSON array of SQL expressions, as text, exactly as `JSON.stringify` would write it. */
  readonly array: (items: readonly Expression[]) => string;
  /**
   * Rows as one JSON text, `[[…],…]`, in the order of a column: made into rows and columns by the driver, many would take
   * twice as long.
   */
  readonly rows: (items: readonly Expression[], orderedBy: string) => string;
  /** A table expression of the keys and values of a JSON object in a text column: `key`, `value`. */
  readonly entries: (column: string) => string;
}

/** A column or another expression; `json` if it is a text that holds JSON, to be a part of the JSON around it. */
export type Expression = string | { readonly json: string };
