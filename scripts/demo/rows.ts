import { isUtf8 } from 'node:buffer';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { parse } from 'csv-parse';
import { Failure, messageOf } from '../client/failure.js';
import { linesOf } from '../client/lines.js';
import { bytesOf, type ProfilesFile } from '../client/profiles-file.js';

/*
 * The demo's own reading of a file. It shares no line with Sluice's import, and only the rules that are written down:
 * what a row must be to be taken. That is what makes the comparison at the end worth something.
 */

/** The values of a row by column; null for a row that cannot be taken. */
export type Row = ReadonlyMap<string, string> | null;

const MAX_ID_LENGTH = 200;
const MAX_VALUE_LENGTH = 10_000;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** Everything that RFC 4180 allows one record to be. */
const CSV_RECORD = /^(?:"(?:[^"]|"")*"|[^",]*)(?:,(?:"(?:[^"]|"")*"|[^",]*))*$/;
const INVISIBLE = /^[\p{White_Space}\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}\u2800]*$/u;
/** NUL, and halves of characters: no database holds them. */
const UNSTORABLE = /[\0\p{Cs}]/u;

/** The columns in the order in which they first come. */
export async function columnsOf(file: ProfilesFile): Promise<string[]> {
  if (file.format === 'csv') {
    for await (const { fields } of tellingWhy(csvRecords(file))) return namesOf(fields);
    return [];
  }
  const names = new Set<string>();
  for await (const row of tellingWhy(ndjsonRows(file))) for (const name of row?.keys() ?? []) names.add(name);
  return [...names];
}

/** Every row of the file, in order. */
export async function* rowsOf(file: ProfilesFile, idColumn: string): AsyncGenerator<Row> {
  for await (const row of tellingWhy(file.format === 'csv' ? csvRows(file) : ndjsonRows(file))) {
    yield row !== null && canBeTaken(row, idColumn) ? row : null;
  }
}

/** What is no longer about one row, like a quote that is never closed or a torn gzip, ends the reading. */
async function* tellingWhy<T>(rows: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* rows;
  } catch (error: unknown) {
    throw new Failure(
      `The file cannot be read to its end: ${messageOf(error)}.`,
      'Mend it and try again; npm run import names the line.',
      { cause: error },
    );
  }
}

function canBeTaken(row: ReadonlyMap<string, string>, idColumn: string): boolean {
  const id = row.get(idColumn)?.trim() ?? '';
  if (isBlank(id) || id.length > MAX_ID_LENGTH || /\p{Cc}/u.test(id)) return false;
  return [...row.values()].every((value) => value.length <= MAX_VALUE_LENGTH && !UNSTORABLE.test(value));
}

interface CsvRecord {
  readonly fields: readonly Buffer[];
  readonly isBroken: boolean;
}

/** Values stay bytes until it is known that they are UTF-8: read as Latin-1, each character is a byte. */
async function* csvRecords(file: ProfilesFile): AsyncGenerator<CsvRecord> {
  const parser = parse({
    encoding: 'latin1',
    raw: true,
    record_delimiter: ['\r\n', '\n'],
    relax_column_count: true,
    // A broken quote costs its own record: it is recognised below.
    relax_quotes: true,
    skip_empty_lines: true,
  });
  pipeline(withoutMark(unpacked(file)), parser, () => {
    // A failure is thrown by the loop below.
  });
  for await (const { record, raw } of parser as AsyncIterable<{ record: string[]; raw: string }>) {
    const isBroken = raw.includes('"') && !CSV_RECORD.test(raw.replace(/\r?\n$/, ''));
    yield { fields: record.map((field) => Buffer.from(field, 'latin1')), isBroken };
  }
}

async function* csvRows(file: ProfilesFile): AsyncGenerator<Row> {
  let names: string[] | undefined;
  for await (const { fields, isBroken } of csvRecords(file)) {
    if (names === undefined) {
      names = namesOf(fields);
      continue;
    }
    const values = fields.map((field) => field.toString());
    if (!isBroken && values.every(isBlank)) continue;
    const width = names.length;
    const isWhole = !isBroken && values.slice(width).every(isBlank) && fields.every((field) => isUtf8(field));
    // Of a row with fewer fields the last columns are not named.
    const named = names.slice(0, values.length);
    yield isWhole ? new Map(named.map((name, index) => [name, values[index] ?? ''])) : null;
  }
}

/** Spreadsheets write empty columns at the end. */
function namesOf(fields: readonly Buffer[]): string[] {
  const names = fields.map((field) => field.toString().trim());
  return names.slice(0, names.findLastIndex((name) => name !== '') + 1);
}

/** Whether nothing of the value can be seen. */
export function isBlank(value: string): boolean {
  return INVISIBLE.test(value);
}

async function* ndjsonRows(file: ProfilesFile): AsyncGenerator<Row> {
  for await (const line of linesOf(withoutMark(unpacked(file)))) {
    const text = line.toString();
    if (text.trim() !== '') yield isUtf8(line) ? objectRow(text) : null;
  }
}

function objectRow(text: string): Row {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return null;
    return new Map(Object.entries(parsed).map(([name, value]) => [name.trim(), textOf(value)]));
  } catch {
    // No JSON, or a value that has no text.
    return null;
  }
}

/** @throws for objects, lists, and numbers whose digits were lost on the way. */
function textOf(value: unknown): string {
  if (value === null) return '';
  if (typeof value === 'string' || typeof value === 'boolean') return String(value);
  if (typeof value === 'number' && Number.isFinite(value)) {
    if (Number.isSafeInteger(value) || !Number.isInteger(value)) return String(value);
  }
  throw new TypeError('no text');
}

function unpacked(file: ProfilesFile): AsyncIterable<Buffer> {
  const bytes = bytesOf(file);
  if (!file.gzip) return bytes;
  return pipeline(bytes, createGunzip(), () => {
    // A failure is thrown by whoever reads.
  });
}

async function* withoutMark(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let isFirst = true;
  for await (const chunk of bytes) {
    const isMarked = isFirst && chunk.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK);
    yield isMarked ? chunk.subarray(BYTE_ORDER_MARK.length) : chunk;
    isFirst = false;
  }
}
