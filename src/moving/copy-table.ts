import { createHash, type Hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ClientBase } from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import type { Scanner } from '../database.js';
import { copyLine } from './copy-text.js';
import { readPages, type TableSize } from './read-pages.js';
import { columnsOf, quoted, type MovedTable } from './tables.js';

/** What a table holds: how many rows, and the SHA-256 of its lines of COPY in the order of the key. */
export interface Contents {
  readonly rows: number;
  readonly checksum: string;
}

/**
 * Writes all rows of a table in SQLite into the table of the same name in Postgres.
 * @param onRows is told how many have been handed over.
 * @returns what was read.
 */
export async function copyTable(
  { source, client, signal }: { source: Scanner; client: ClientBase; signal: AbortSignal },
  table: MovedTable,
  size: TableSize,
  onRows: (rows: number) => void,
): Promise<Contents> {
  const checksum = createHash('sha256');
  let rows = 0;
  const lines = async function* () {
    for await (const page of readPages(source, table, size)) {
      signal.throwIfAborted();
      const bytes = Buffer.from(page.map((row) => copyLine(table, row)).join(''));
      checksum.update(bytes);
      yield bytes;
      rows += page.length;
      onRows(rows);
    }
  };
  const copying = client.query(copyFrom(`COPY "${table.name}" (${columnsOf(table)}) FROM STDIN`));
  // Whatever stops it makes Postgres give up the COPY, after which the connection can be used again.
  await pipeline(Readable.from(lines(), { objectMode: true, highWaterMark: 1 }), copying);
  return contents(rows, checksum);
}

/** What Postgres holds of a table, by its own account: written out by COPY, read by nobody but the checksum. */
export async function readBack(
  client: ClientBase,
  table: MovedTable,
  onRows: (rows: number) => void,
): Promise<Contents> {
  const checksum = createHash('sha256');
  const copying = client.query(
    copyTo(`COPY (SELECT ${columnsOf(table)} FROM "${table.name}" ORDER BY ${quoted(table.key)}) TO STDOUT`),
  );
  let rows = 0;
  // To the end, also when somebody has cancelled: half read, the connection could not be used any more.
  for await (const chunk of copying) {
    const bytes = chunk as Buffer;
    checksum.update(bytes);
    rows += lineEnds(bytes);
    onRows(rows);
  }
  return contents(copying.rowCount, checksum);
}

function contents(rows: number, checksum: Hash): Contents {
  return { rows, checksum: checksum.digest('hex') };
}

const LINE_FEED = 0x0a;

/** Line feeds within values are escaped. */
function lineEnds(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) count += 1;
  return count;
}
