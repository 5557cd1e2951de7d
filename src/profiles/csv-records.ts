import { BrokenBodyError } from './broken-body-error.js';
import { MAX_RECORD_BYTES } from './text-blocks.js';

/** One record of a CSV file. With a `problem`, the fields are those in front of it. */
export interface CsvRecord {
  /** The line on which it begins, from 1. */
  readonly line: number;
  /** Whether a quoted field of the record has a line break, so that it ends on a later line. */
  readonly spansLines: boolean;
  readonly fields: string[];
  readonly problem?: string;
}

/**
 * Splits CSV text into records by RFC 4180: CRLF or LF, quoted fields with delimiters, line ends and doubled quotes.
 * Empty lines are passed over. Spaces belong to their field.
 *
 * A record that breaks the rules of quoting is given up. It is still read to its end, so that the inside of a quoted
 * field is never taken for records. A given-up record that spans lines may have swallowed other records: whoever reads
 * must trust nothing from there on. (See docs/adr/020 for why this is no library.)
 */
export class CsvRecords {
  private line: number;
  private readonly delimiter: string;
  /** A record whose quoted field still waits for its end. */
  private open = '';

  /**
   * @param options.delimiter one character, a comma by the standard.
   * @param options.line the number of the first line that is read.
   */
  constructor({ delimiter = ',', line = 1 } = {}) {
    this.delimiter = delimiter;
    this.line = line;
  }

  /** @param text whole lines: it ends with a line feed, and so does every record. */
  read(text: string): CsvRecord[] {
    if (this.open.length > MAX_RECORD_BYTES) throw this.unclosed('within 8 MB');
    if (this.open !== '' && !text.includes('"')) {
      // Nothing here can end the quoted field. Reading it again with every block would take quadratic time.
      this.open += text;
      return [];
    }
    const input = this.open + text;
    if (!input.includes('"')) return this.readPlain(input);
    const records: CsvRecord[] = [];
    const scan: Scan = { input, delimiter: this.delimiter, at: 0, next: -1, lineFeed: -1 };
    while (scan.at < input.length) {
      const start = scan.at;
      const record = readRecord(scan);
      if (record === undefined) {
        this.open = input.slice(start);
        return records;
      }
      const lines = countLineFeeds(input, start, scan.at);
      if (!isBlank(input, start, scan.at)) {
        records.push({ ...record, line: this.line, spansLines: lines > 1 });
      }
      this.line += lines;
    }
    this.open = '';
    return records;
  }

  /** @throws {BrokenBodyError} when the text ended inside a quoted field. */
  end(): void {
    if (this.open !== '') throw this.unclosed('before the end of the body');
  }

  /** Most files, and most blocks of the others, have no quotes: splitting is several times faster there. */
  private readPlain(input: string): CsvRecord[] {
    const records: CsvRecord[] = [];
    const lines = input.split('\n');
    lines.pop();
    for (const text of lines) {
      const record = withoutReturn(text);
      if (record !== '')
        records.push({ line: this.line, spansLines: false, fields: record.split(this.delimiter) });
      this.line += 1;
    }
    return records;
  }

  private unclosed(where: string): BrokenBodyError {
    return new BrokenBodyError(
      `The record that starts on line ${this.line} has a quote that is not closed ${where}.`,
      'Close the quote and send the file again; a quote inside a quoted field is written twice.',
    );
  }
}

/** Where reading is, and the next delimiter and line feed from there on: each is looked for once. */
interface Scan {
  readonly input: string;
  readonly delimiter: string;
  at: number;
  next: number;
  lineFeed: number;
}

type ReadRecord = Pick<CsvRecord, 'fields' | 'problem'>;

/** Reads the record at `scan.at` and moves behind it; undefined when its end is not there yet. */
function readRecord(scan: Scan): ReadRecord | undefined {
  const { input } = scan;
  const fields: string[] = [];
  let problem: string | undefined;
  for (;;) {
    const from = scan.at;
    const isQuoted = input[from] === '"';
    const close = isQuoted ? closingQuote(input, from + 1) : -1;
    if (isQuoted && close === -1) return undefined;
    if (isQuoted) scan.at = close + 1;
    lookAhead(scan);
    const isLast = scan.lineFeed < scan.next;
    const end = isLast ? scan.lineFeed : scan.next;
    const rest = isLast ? withoutReturn(input.slice(scan.at, end)) : input.slice(scan.at, end);
    scan.at = end + 1;
    // Only a delimiter or a line end may follow a closing quote.
    if (isQuoted && rest !== '') problem ??= 'there is text behind a closing quote';
    if (!isQuoted && rest.includes('"')) problem ??= 'there is a quote in a field that is not quoted';
    if (problem === undefined) {
      fields.push(isQuoted ? input.slice(from + 1, close).replaceAll('""', '"') : rest);
    }
    if (isLast) return problem === undefined ? { fields } : { fields, problem };
  }
}

function lookAhead(scan: Scan): void {
  if (scan.next < scan.at) scan.next = indexOrEnd(scan.input, scan.delimiter, scan.at);
  if (scan.lineFeed < scan.at) scan.lineFeed = indexOrEnd(scan.input, '\n', scan.at);
}

/** The quote that ends the field, which is the first that is not doubled; -1 when there is none. */
function closingQuote(input: string, from: number): number {
  let quote = input.indexOf('"', from);
  while (quote !== -1 && input[quote + 1] === '"') quote = input.indexOf('"', quote + 2);
  return quote;
}

function indexOrEnd(input: string, character: string, from: number): number {
  const index = input.indexOf(character, from);
  return index === -1 ? input.length : index;
}

function countLineFeeds(input: string, from: number, to: number): number {
  let count = 0;
  for (let at = input.indexOf('\n', from); at !== -1 && at < to; at = input.indexOf('\n', at + 1)) count += 1;
  return count;
}

function withoutReturn(text: string): string {
  return text.endsWith('\r') ? text.slice(0, -1) : text;
}

/** Whether the record is nothing but its line end. */
function isBlank(input: string, from: number, to: number): boolean {
  return to - from === 1 || (to - from === 2 && input[from] === '\r');
}
