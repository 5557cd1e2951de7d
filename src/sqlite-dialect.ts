import type { Dialect, Expression } from './dialect.js';

/** How SQLite says what databases say differently. */
export const SQLITE: Dialect = {
  table: (parameter, columns) => {
    const picked = Object.keys(columns).map((name, index) => `value ->> ${index} AS "${name}"`);
    return `(SELECT ${picked.join(', ')} FROM json_each(${parameter}))`;
  },
  list: (parameter) => `(SELECT value FROM json_each(${parameter}))`,
  item: (column, index) => `${column} ->> ${index}`,
  array: jsonArray,
  rows: (items, orderedBy) =>
    `'[' || COALESCE(group_concat(${jsonArray(items)}, ',' ORDER BY ${orderedBy}), '') || ']'`,
  entries: (column) => `json_each(${column})`,
};

function jsonArray(items: readonly Expression[]): string {
  return `json_array(${items.map((item) => (typeof item === 'string' ? item : `json(${item.json})`)).join(', ')})`;
}
