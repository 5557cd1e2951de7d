import type { Attributes } from '../entities/profile.js';
import { BadInputError } from '../errors.js';
import { trimAscii } from '../names.js';
import { BrokenBodyError } from './broken-body-error.js';
import { CsvRecords, type CsvRecord } from './csv-records.js';
import type { Row, RowReader } from './row.js';
import {
  isUnstorable,
  MAX_ATTRIBUTES,
  problemOfId,
  problemOfLength,
  problemOfAttributeName,
  quote,
} from './rules.js';

interface Header {
  readonly names: readonly string[];
  readonly idIndex: number;
}

/**
 * Understands CSV with a header row. A file whose header is wrong is refused as a whole, before anything is stored.
 *
 * A record that cannot be taken costs only itself if it stands on one line. If it spans lines, a quote is probably missing
 * or superfluous, and what looks like one field may be hundreds of records: the rest of the body is not read. Whoever was
 * in those records would otherwise leave the segment without a word.
 */
export function csvRowReader(idColumn: string): RowReader {
  const records = new CsvRecords();
  let header: Header | undefined;
  // A record that waits for its end is judged with the block that ends it.
  let suspect = false;
  /** Set when nothing more of the body can be trusted; thrown once the rows before are with the caller. */
  let broken: BrokenBodyError | undefined;

  return {
    read(block) {
      if (broken !== undefined) throw broken;
      suspect ||= block.suspect;
      const rows: Row[] = [];
      for (const record of records.read(block.text)) {
        if (header === undefined) {
          header = readHeader(record, idColumn);
          continue;
        }
        const row = readRow(record, header, suspect);
        if (record.spansLines && 'problem' in row) {
          broken = brokenQuote(record, row.problem);
          return rows;
        }
        rows.push(row);
      }
      suspect = block.suspect;
      return rows;
    },

    last() {
      if (broken !== undefined) throw broken;
      records.end();
      if (header === undefined) {
        throw new BadInputError(
          'body',
          'The file is empty.',
          'Send a file whose first line names the columns.',
        );
      }
      return [];
    },
  };
}

function readHeader(record: CsvRecord, idColumn: string): Header {
  const refuse = (message: string) =>
    new BadInputError('body', message, 'Correct the header row and send the file again; nothing was stored.');
  if (record.problem !== undefined) throw refuse(`The header row cannot be read: ${record.problem}.`);
  const names = record.fields.map(trimAscii);
  const separator = names.length === 1 && names[0] !== idColumn ? otherSeparator(names[0]) : undefined;
  if (separator !== undefined) {
    throw new BadInputError(
      'body',
      `The columns are separated by ${separator}.`,
      'Save the file with commas between the columns and send it again; nothing was stored.',
    );
  }
  if (names.length > MAX_ATTRIBUTES + 1) {
    throw refuse(
      `The header row has ${names.length} columns; at most ${MAX_ATTRIBUTES} and the id are taken.`,
    );
  }
  const seen = new Set<string>();
  for (const [index, name] of names.entries()) {
    const problem = name.includes('\ufffd') ? 'it is not UTF-8' : problemOfAttributeName(name);
    if (problem !== undefined) {
      throw refuse(`The name of column ${index + 1} (${quote(name)}) cannot be used: ${problem}.`);
    }
    if (seen.has(name)) throw refuse(`The header row names the column ${quote(name)} twice.`);
    seen.add(name);
  }
  const idIndex = names.indexOf(idColumn);
  if (idIndex === -1) {
    const columns = names.slice(0, 10).map(quote).join(', ');
    throw new BadInputError(
      'id',
      `The file has no column ${quote(idColumn)}; its columns are ${columns}${names.length > 10 ? ', …' : ''}.`,
      'Name the column that holds the ids in ?id=, written as in the header row; nothing was stored.',
    );
  }
  return { names, idIndex };
}

/** What spreadsheets write instead of commas: semicolons where the comma is in numbers, tabs when told so. */
function otherSeparator(header = ''): string | undefined {
  if (header.includes(';')) return 'semicolons';
  return header.includes('\t') ? 'tabs' : undefined;
}

function brokenQuote({ line }: CsvRecord, problem: string): BrokenBodyError {
  return new BrokenBodyError(
    `The record that begins on line ${line} goes on over several lines and cannot be read: ${problem}. A quote is missing or superfluous, so the lines behind it cannot be told apart.`,
    `Correct the quotes from line ${line} on and send the file again; a quote inside a quoted field is written twice.`,
  );
}

function readRow(record: CsvRecord, header: Header, suspect: boolean): Row {
  const { line, fields } = record;
  const { names, idIndex } = header;
  const idField = fields[idIndex];
  const written = idField === undefined ? undefined : trimAscii(idField);
  const idProblem = written === undefined ? 'the id is missing' : problemOfId(written);
  // A field too many or too few in front of the id puts another value in its place.
  const isInPlace = idIndex === 0 || record.problem !== undefined || fields.length === names.length;
  const isReadable = idProblem === undefined && isInPlace && !isDamaged(written, suspect);
  const id = isReadable ? written : undefined;
  const hasUnreadableId = !isReadable && (written !== '' || !isInPlace);
  const refuse = (problem: string): Row => ({ line, id, hasUnreadableId, problem });

  if (record.problem !== undefined) return refuse(record.problem);
  if (fields.length !== names.length) {
    return refuse(
      `it has ${fields.length} field${fields.length === 1 ? '' : 's'}, but the header row names ${names.length}`,
    );
  }
  if (suspect) {
    if (fields.some((field) => field.includes('\ufffd'))) return refuse('it has bytes that are not UTF-8');
    if (fields.some(isUnstorable)) return refuse('it has a NUL byte');
  }
  if (id === undefined) return refuse(idProblem ?? 'the id cannot be read');
  const attributes: Attributes = {};
  for (let index = 0; index < names.length; index += 1) {
    if (index === idIndex) continue;
    const name = names[index] ?? '';
    const value = fields[index] ?? '';
    const problem = problemOfLength(name, value);
    if (problem !== undefined) return refuse(problem);
    attributes[name] = value;
  }
  return { id, attributes };
}

function isDamaged(id: string | undefined, suspect: boolean): boolean {
  return suspect && (id ?? '').includes('\ufffd');
}
