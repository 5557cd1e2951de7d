import { BadInputError } from '../errors.js';
import { trimAscii } from '../names.js';
import { looksOf } from '../visible.js';
import { CsvRecords, type CsvRecord } from './csv-records.js';
import { MAX_ATTRIBUTES, problemOfAttributeName, quote } from './rules.js';

/** Which columns of a CSV file are read, and as what. */
export interface CsvHeader {
  /** By column: the attribute that it holds; undefined: it is not read. */
  readonly attributes: readonly (string | undefined)[];
  readonly idIndex: number;
  /** Columns up to the last that has a name. */
  readonly width: number;
}

export interface CsvHeaderOptions {
  readonly idColumn: string;
  /** The columns to read besides the id; undefined: all. */
  readonly columns: readonly string[] | undefined;
  /** Whether the id is also an attribute, under the name of its column. */
  readonly idAttribute: boolean;
}

/** How a CSV file begins. */
export interface CsvBeginning {
  readonly delimiter: string;
  /** Lines in front of the header row that are no records. */
  readonly linesBefore: number;
  /** The text from the header row on. */
  readonly text: string;
}

/** What spreadsheets write between columns, the standard first. */
const DELIMITERS = [',', ';', '\t'];

/** The line by which Excel is told the delimiter, which may be any character. */
const SEP_LINE = /^"?sep=([^"\r\ud800-\udfff])"?\r?$/i;

/** A line that spreadsheets write for an empty row. */
const EMPTY_LINE = /^[\s,;"]*$/;

/** A mark of UTF-8 that a program put in front of a text that had one. */
const BYTE_ORDER_MARK = '\ufeff';

/** The text without byte order marks in front. Programs write one more where they put something in front of a file. */
export function withoutMarks(text: string): string {
  let from = 0;
  while (text.startsWith(BYTE_ORDER_MARK, from)) from += 1;
  return text.slice(from);
}

/**
 * Finds out what separates the columns: Excel's `sep=` line says it; else it is the delimiter with which the header row has
 * the id column, the comma before others.
 * @param text the first lines of the file, whole.
 * @returns undefined while there is nothing but empty rows.
 */
export function beginCsv(text: string, idColumn: string): CsvBeginning | undefined {
  const { line, linesBefore, rest } = firstLine(text);
  if (line === '') return undefined;
  const sep = SEP_LINE.exec(line)?.[1];
  if (sep !== undefined) {
    const next = rest.slice(line.length + 1);
    return { delimiter: sep, linesBefore: linesBefore + 1, text: next };
  }
  const headers = DELIMITERS.map((delimiter) => ({ delimiter, names: namesIn(line, delimiter) }));
  const withId = headers.find(({ names }) => names.includes(idColumn));
  // None has the id: the message names the columns of the likeliest.
  const likeliest =
    withId ?? headers.reduce((best, one) => (one.names.length > best.names.length ? one : best));
  return { delimiter: likeliest.delimiter, linesBefore, text: rest };
}

/** The first line that has something, without the empty rows in front of it. */
function firstLine(text: string): { line: string; linesBefore: number; rest: string } {
  let rest = withoutMarks(text);
  for (let linesBefore = 0; ; linesBefore += 1) {
    const end = rest.indexOf('\n');
    const line = rest.slice(0, Math.max(end, 0));
    if (end === -1 || !EMPTY_LINE.test(line)) return { line, linesBefore, rest };
    rest = withoutMarks(rest.slice(end + 1));
  }
}

function namesIn(line: string, delimiter: string): string[] {
  // A name in quotes may go on in the next line.
  const isOpen = line.split('"').length % 2 === 0;
  const [record] = new CsvRecords({ delimiter }).read(isOpen ? `${line}"\n` : `${line}\n`);
  return (record?.fields ?? []).map(trimAscii);
}

/** Understands the header row. @throws {BadInputError} when the file cannot be read by it. */
export function readHeader(
  record: CsvRecord,
  { idColumn, columns, idAttribute }: CsvHeaderOptions,
): CsvHeader {
  const names = record.fields.map(trimAscii);
  if (names.some((name) => name.includes('\r'))) throw withReturns();
  if (record.problem !== undefined) throw refuse(`The header row cannot be read: ${record.problem}.`);
  // Spreadsheets write empty columns at the end.
  while (names.at(-1) === '') names.pop();
  const idIndex = names.indexOf(idColumn);
  if (idIndex === -1) throw withoutColumn('id', names, idColumn);
  // Both may be long: each is gone through once.
  const present = new Set(names);
  const missing = columns?.find((column) => !present.has(column));
  if (missing !== undefined) throw withoutColumn('columns', names, missing);
  const wanted = columns && new Set(columns);
  const isRead = (name: string) => name === idColumn || (wanted?.has(name) ?? true);
  const others = names.filter((name, index) => index !== idIndex && isRead(name)).length;
  if (others + Number(idAttribute) > MAX_ATTRIBUTES) {
    throw refuse(
      `The header row has ${names.length} columns; at most ${MAX_ATTRIBUTES} and the id are taken.`,
      'Name the columns that are needed in ?columns=, and send the file again; nothing was stored.',
    );
  }
  assertUsable(names, isRead);
  const attributes = names.map((name, index) => {
    if (index === idIndex) return idAttribute ? name : undefined;
    return isRead(name) ? name : undefined;
  });
  return { attributes, idIndex, width: names.length };
}

/** @throws {BadInputError} for a name that is read and cannot be an attribute, or that another one cannot be told from. */
function assertUsable(names: readonly string[], isRead: (name: string) => boolean): void {
  const seen = new Map<string, { name: string; column: number }>();
  for (const [index, name] of names.entries()) {
    if (!isRead(name)) continue;
    const problem = name.includes('\ufffd') ? 'it is not UTF-8' : problemOfAttributeName(name);
    if (problem !== undefined) {
      throw refuse(`The name of column ${index + 1} (${quote(name)}) cannot be used: ${problem}.`);
    }
    const looks = looksOf(name);
    const before = seen.get(looks);
    if (before?.name === name) throw refuse(`The header row names the column ${quote(name)} twice.`);
    if (before !== undefined) {
      throw refuse(
        `The columns ${before.column} and ${index + 1} look alike: ${quote(before.name)} and ${quote(name)} differ in characters that cannot be seen.`,
      );
    }
    seen.set(looks, { name, column: index + 1 });
  }
}

function refuse(
  message: string,
  remedy = 'Correct the header row, or name the columns to read in ?columns=, and send the file again; nothing was stored.',
) {
  return new BadInputError('body', message, remedy);
}

function withReturns(): BadInputError {
  return refuse(
    'The header row has a carriage return in it, as in a file that ends some of its lines with carriage returns alone.',
    'Save the file with LF or CRLF at the end of each line and send it again; nothing was stored.',
  );
}

function withoutColumn(field: 'id' | 'columns', names: readonly string[], column: string): BadInputError {
  const lookalike = names.find((name) => looksOf(name) === looksOf(column));
  if (lookalike !== undefined) {
    return new BadInputError(
      field,
      `The file has no column ${quote(column)}, but one that looks like it: ${quote(lookalike)}.`,
      `Remove the characters that cannot be seen, or name the column with them in ?${field}=; nothing was stored.`,
    );
  }
  return new BadInputError(
    field,
    `The file has no column ${quote(column)}; its columns are ${listed(names)}.`,
    field === 'id'
      ? 'Name the column that holds the ids in ?id=, written as in the header row; nothing was stored.'
      : 'Name columns as they are written in the header row; nothing was stored.',
  );
}

function listed(names: readonly string[]): string {
  return `${names.slice(0, 10).map(quote).join(', ')}${names.length > 10 ? ', …' : ''}`;
}
