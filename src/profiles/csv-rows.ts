import type { Attributes } from '../entities/profile.js';
import { BadInputError } from '../errors.js';
import { trimAscii } from '../names.js';
import { hasVisibleCharacter } from '../visible.js';
import { BrokenBodyError } from './broken-body-error.js';
import { beginCsv, readHeader, withoutMarks, type CsvHeader, type CsvHeaderOptions } from './csv-header.js';
import { CsvRecords, type CsvRecord } from './csv-records.js';
import type { ImportMode } from './merge.js';
import type { BadRow, Row, RowReader } from './row.js';
import { EMPTY_ID, isUnstorable, problemOfId, problemOfLength } from './rules.js';

/** What becomes of a row with fewer fields than the header row names: see `csvRowReader`. */
export type ShortRows = 'limit' | 'pad';

export interface CsvOptions extends CsvHeaderOptions {
  readonly mode: ImportMode;
  readonly shortRows: ShortRows;
}

/** Of `limit`: the share of short rows, in percent, beyond which a file was probably written wrongly. */
const MOST_SHORT_PERCENT = 1;

/**
 * Understands CSV with a header row. A file whose header is wrong is refused as a whole, before anything is stored.
 *
 * A record that cannot be taken costs only itself if it stands on one line. If it spans lines, a quote is probably missing
 * or superfluous, and what looks like one field may be hundreds of records: the rest of the body is not read. Whoever was
 * in those records would otherwise leave the segment without a word.
 *
 * Programs leave out empty fields at the end of a row. What is missing there counts as not named by the row: `merge` keeps
 * it. Where `replace` would drop it the row is rejected. More than one short row in a hundred is a file that was written
 * wrongly, unless the caller says `pad`; a short last row without a line end is a file that was cut off.
 */
export function csvRowReader(options: CsvOptions): RowReader {
  let records: CsvRecords | undefined;
  let header: CsvHeader | undefined;
  let linesBefore = 0;
  // A record that waits for its end is judged with the block that ends it.
  let suspect = false;
  /** Set when nothing more of the body can be trusted; thrown once the rows before are with the caller. */
  let broken: BrokenBodyError | undefined;
  let received = 0;
  const short = { count: 0, firstLine: 0 };

  const readRecords = (text: string): CsvRecord[] => {
    // The line sep= may be in front of a file that begins with a mark.
    if (records !== undefined) return records.read(header === undefined ? withoutMarks(text) : text);
    const beginning = beginCsv(text, options.idColumn);
    if (beginning === undefined) {
      linesBefore += countLines(text);
      return [];
    }
    const line = linesBefore + beginning.linesBefore + 1;
    records = new CsvRecords({ delimiter: beginning.delimiter, line });
    return records.read(withoutMarks(beginning.text));
  };

  return {
    read(block) {
      if (broken !== undefined) throw broken;
      suspect ||= block.suspect;
      const rows: Row[] = [];
      const found = readRecords(block.text);
      for (const record of found) {
        const isBlank = record.problem === undefined && record.fields.every(isEmpty);
        if (header === undefined) {
          if (!isBlank) header = readHeader(record, options);
          continue;
        }
        const isShort = record.problem === undefined && record.fields.length < header.width;
        const isCutOff = isShort && block.isCutOff && record === found.at(-1) && !isOnlySpace(record);
        if (isBlank && !isCutOff) continue;
        received += 1;
        const row = readRow(record, header, { suspect, isShort, isCutOff, mode: options.mode });
        if ('problem' in row && record.spansLines) broken = brokenQuote(record, row);
        if ('problem' in row && isCutOff) broken = cutOff(row);
        if (isShort && short.count === 0) short.firstLine = record.line;
        if (isShort) short.count += 1;
        if (broken === undefined || isCutOff) rows.push(row);
        if (broken !== undefined) return rows;
      }
      suspect = block.suspect;
      return rows;
    },

    last() {
      if (broken !== undefined) throw broken;
      records?.end();
      if (header === undefined) {
        throw new BadInputError(
          'body',
          'The file is empty.',
          'Send a file whose first line names the columns.',
        );
      }
      const isMuch = short.count * 100 > received * MOST_SHORT_PERCENT;
      if (options.shortRows === 'limit' && isMuch) throw tooManyShort(short, received, header);
      return [];
    },
  };
}

function brokenQuote({ line }: CsvRecord, { problem }: BadRow): BrokenBodyError {
  return new BrokenBodyError(
    `The record that begins on line ${line} goes on over several lines and cannot be read: ${problem}. A quote is missing or superfluous, so the lines behind it cannot be told apart.`,
    `Correct the quotes from line ${line} on and send the file again; a quote inside a quoted field is written twice.`,
  );
}

function cutOff({ line }: BadRow): BrokenBodyError {
  return new BrokenBodyError(
    `The last line (${line}) has fewer fields than the header row names, and no line end: the file was probably cut off.`,
    'Send the whole file again. If nothing is missing, end the last line with a line feed.',
  );
}

function tooManyShort(
  { count, firstLine }: { count: number; firstLine: number },
  received: number,
  { width }: CsvHeader,
): BrokenBodyError {
  return new BrokenBodyError(
    `${count.toLocaleString('en')} of ${received.toLocaleString('en')} rows have fewer fields than the ${width} that the header row names; the first is on line ${firstLine}.`,
    'Look whether a delimiter or a quote is missing there. If only empty fields at the end were left out, send the file again with short=pad.',
  );
}

interface RowFacts {
  readonly suspect: boolean;
  readonly isShort: boolean;
  readonly isCutOff: boolean;
  readonly mode: ImportMode;
}

function readRow(record: CsvRecord, header: CsvHeader, facts: RowFacts): Row {
  const { line } = record;
  const { attributes: names, idIndex, width } = header;
  const { suspect, isShort } = facts;
  const fields = record.problem === undefined ? withoutEmptyEnd(record.fields, width) : record.fields;
  const written = fields[idIndex] === undefined ? undefined : trimAscii(fields[idIndex]);
  const idProblem = written === undefined ? 'the id is missing' : problemOfId(written);
  // A field too many in front of the id puts another value in its place.
  const isInPlace = idIndex === 0 || record.problem !== undefined || fields.length <= width;
  const isReadable = idProblem === undefined && isInPlace && !isDamaged(written, suspect);
  const id = isReadable ? written : undefined;
  const hasUnreadableId = !isReadable && (idProblem !== EMPTY_ID || !isInPlace);
  const refuse = (problem: string): BadRow => ({ line, id, hasUnreadableId, problem });

  if (record.problem !== undefined) return refuse(record.problem);
  const isMismatch = fields.length > width || (isShort && (facts.isCutOff || record.spansLines));
  if (isMismatch || (isShort && facts.mode === 'replace')) return refuse(describeCount(fields.length, width));
  if (suspect) {
    if (fields.some((field) => field.includes('\ufffd'))) return refuse('it has bytes that are not UTF-8');
    if (fields.some(isUnstorable)) return refuse('it has a NUL byte');
  }
  if (id === undefined) return refuse(idProblem ?? 'the id cannot be read');
  const attributes: Attributes = {};
  for (let index = 0; index < fields.length; index += 1) {
    const name = names[index];
    if (name === undefined) continue;
    const value = index === idIndex ? id : (fields[index] ?? '');
    const problem = problemOfLength(name, value);
    if (problem !== undefined) return refuse(problem);
    attributes[name] = value;
  }
  return { id, attributes };
}

/** Spreadsheets write empty columns at the end: they cost nothing. */
function withoutEmptyEnd(fields: readonly string[], width: number): readonly string[] {
  if (fields.length <= width) return fields;
  return fields.slice(width).every(isEmpty) ? fields.slice(0, width) : fields;
}

/** NUL bytes are damage, and not nothing. */
function isEmpty(field: string): boolean {
  return field === '' || (!hasVisibleCharacter(field) && !isUnstorable(field));
}

/** Spaces without a line end, behind the last line: nothing was cut off. */
function isOnlySpace({ fields }: CsvRecord): boolean {
  return fields.length === 1 && isEmpty(fields[0] ?? '');
}

function describeCount(fields: number, width: number): string {
  return `it has ${fields} field${fields === 1 ? '' : 's'}, but the header row names ${width}`;
}

function isDamaged(id: string | undefined, suspect: boolean): boolean {
  return suspect && (id ?? '').includes('\ufffd');
}

function countLines(text: string): number {
  return text.split('\n').length - 1;
}
