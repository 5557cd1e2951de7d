import type { Dialect, Expression } from './dialect.js';

/** How Postgres says what databases say differently. */
export const POSTGRES: Dialect = {
  table: (parameter, columns) => {
    const picked = Object.entries(columns).map(
      ([name, type], index) => `(item ->> ${index})::${type} AS "${name}"`,
    );
    return `(SELECT ${picked.join(', ')} FROM json_array_elements(${parameter}::json) AS items (item))`;
  },
  list: (parameter, type = 'text') =>
    `(SELECT item::${type} AS value FROM json_array_elements_text(${parameter}::json) AS items (item))`,
  item: (column, index) => `(${column}::json ->> ${index})`,
  array: jsonArray,
  rows: (items, orderedBy) =>
    `'[' || COALESCE(string_agg(${jsonArray(items)}, ',' ORDER BY ${orderedBy}), '') || ']'`,
  entries: (column) => `json_each_text(${column}::json)`,
};

/** Postgres has json_build_array, but writes spaces between the items; texts are compared with what JavaScript wrote. */
function jsonArray(items: readonly Expression[]): string {
  const parts = items.map((item) =>
    typeof item === 'string' ? `COALESCE(to_json(${item})::text, 'null')` : `COALESCE(${item.json}, 'null')`,
  );
  return `'[' || ${parts.join(` || ',' || `)} || ']'`;
}
