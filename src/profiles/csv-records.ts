import { BrokenBodyError } from './broken-body-error.js';
import { MAX_RECORD_BYTES } from './text-blocks.js';

/** One record of a CSV file. With a `problem`, the fields are those in front of it. */
export interface CsvRecord {
  /** The line on which it starts, from 1. */
  readonly line: number;
  readonly fields: string[];
  readonly problem?: string;
}

/**
 * Splits CSV text into records by RFC 4180: commas, CRLF or LF, quoted fields with commas, line ends and doubled quotes.
 * Empty lines are passed over. Spaces belong to their field.
 *
 * Where a record breaks the rules of quoting, it is given up, and reading goes on at the line after the offending
 * quote: one bad line costs itself, and never is the inside of a quoted field taken for records. (See docs/adr/020 for
 * why this is no library.)
 */
export class CsvRecords {
  private line = 1;
  /** A record whose quoted field still waits for its end. */
  private open = '';

  /** @param text whole lines: it ends with a line feed, and so does every record. */
  read(text: string): CsvRecord[] {
    if (this.open.length > MAX_RECORD_BYTES) throw this.unclosed('within 8 MB');
    const input = this.open + text;
    if (!input.includes('"')) return this.readPlain(input);
    const records: CsvRecord[] = [];
    const scan: Scan = { input, at: 0, comma: -1, lineFeed: -1 };
    while (scan.at < input.length) {
      const start = scan.at;
      const record = readRecord(scan, this.line);
      if (record === undefined) {
        this.open = input.slice(start);
        return records;
      }
      this.line += countLineFeeds(input, start, scan.at);
      if (!isBlank(input, start, scan.at)) records.push(record);
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
      if (record !== '') records.push({ line: this.line, fields: record.split(',') });
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

/** Where reading is, and the next comma and line feed from there on: each is looked for once. */
interface Scan {
  readonly input: string;
  at: number;
  comma: number;
  lineFeed: number;
}

/** Reads the record at `scan.at` and moves behind it; undefined when its end is not there yet. */
function readRecord(scan: Scan, line: number): CsvRecord | undefined {
  const { input } = scan;
  const fields: string[] = [];
  for (;;) {
    const from = scan.at;
    if (input[from] === '"') {
      const close = closingQuote(input, from + 1);
      if (close === -1) return undefined;
      scan.at = close + 1;
      lookAhead(scan);
      // Only a comma or a line end may follow a closing quote.
      const isLast =
        scan.lineFeed === close + 1 || (scan.lineFeed === close + 2 && input[close + 1] === '\r');
      if (!isLast && scan.comma !== close + 1) {
        return giveUp(scan, { line, fields, problem: 'there is text behind a closing quote' });
      }
      fields.push(input.slice(from + 1, close).replaceAll('""', '"'));
      scan.at = (isLast ? scan.lineFeed : scan.comma) + 1;
      if (isLast) return { line, fields };
    } else {
      lookAhead(scan);
      const isLast = scan.lineFeed < scan.comma;
      const end = isLast ? scan.lineFeed : scan.comma;
      const field = input.slice(from, end);
      if (field.includes('"')) {
        return giveUp(scan, { line, fields, problem: 'there is a quote in a field that is not quoted' });
      }
      scan.at = end + 1;
      fields.push(isLast ? withoutReturn(field) : field);
      if (isLast) return { line, fields };
    }
  }
}

function lookAhead(scan: Scan): void {
  if (scan.comma < scan.at) scan.comma = indexOrEnd(scan.input, ',', scan.at);
  if (scan.lineFeed < scan.at) scan.lineFeed = indexOrEnd(scan.input, '\n', scan.at);
}

function giveUp(scan: Scan, record: CsvRecord): CsvRecord {
  scan.at = scan.lineFeed + 1;
  return record;
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
