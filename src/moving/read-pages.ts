import type { Scanner } from '../database.js';
import type { StoredRow } from './copy-text.js';
import { columnsOf, quoted, type MovedTable } from './tables.js';

/** What a page may weigh, in bytes of its values, and how many rows it has at most. Two are held at a time. */
const PAGE_BYTES = 2_000_000;
const PAGE_ROWS = 1_000;

export interface TableSize {
  readonly rows: number;
  /** Of the largest row's values. */
  readonly largestRow: number;
}

export async function sizeOf(source: Scanner, table: MovedTable): Promise<TableSize> {
  const weight = table.columns.map(({ name }) => `COALESCE(octet_length("${name}"), 0)`).join(' + ');
  const [size] = await source.query<[TableSize]>(
    `SELECT COUNT(*) AS "rows", COALESCE(MAX(${weight}), 0) AS "largestRow" FROM "${table.name}"`,
  );
  return size;
}

/** All rows of a table, page by page, in the order of the key. No page is heavier than memory allows. */
export async function* readPages(
  source: Scanner,
  table: MovedTable,
  { largestRow }: TableSize,
): AsyncGenerator<StoredRow[]> {
  const pageRows = Math.max(1, Math.min(PAGE_ROWS, Math.floor(PAGE_BYTES / Math.max(1, largestRow))));
  const parameters = table.key.map((_, index) => `$${index + 1}`).join(', ');
  const readAfter = (last: StoredRow | undefined) =>
    source.query<StoredRow[]>(
      `SELECT ${columnsOf(table)} FROM "${table.name}"
       ${last === undefined ? '' : `WHERE (${quoted(table.key)}) > (${parameters})`}
       ORDER BY ${quoted(table.key)} LIMIT ${pageRows}`,
      last === undefined ? [] : table.key.map((name) => last[name]),
    );
  let next: Promise<StoredRow[]> | undefined = readAfter(undefined);
  while (next !== undefined) {
    const page: StoredRow[] = await next;
    // SQLite reads the next page while Postgres takes this one.
    next = page.length < pageRows ? undefined : readAfter(page.at(-1));
    // It may fail when nobody waits for it any more; whoever does will hear of it.
    next?.catch(() => undefined);
    if (page.length > 0) yield page;
  }
}
