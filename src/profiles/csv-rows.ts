import type { Attributes } from '../entities/profile.js';
import { BadInputError } from '../errors.js';
import { trimAscii } from '../names.js';
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

/** Understands CSV with a header row. A file whose header is wrong is refused as a whole, before anything is stored. */
export function csvRowReader(idColumn: string): RowReader {
  const records = new CsvRecords();
  let header: Header | undefined;
  // A record that waits for its end is judged with the block that ends it.
  let suspect = false;

  return {
    read(block) {
      suspect ||= block.suspect;
      const rows: Row[] = [];
      for (const record of records.read(block.text)) {
        if (header === undefined) header = readHeader(record, idColumn);
        else rows.push(readRow(record, header, suspect));
      }
      suspect = block.suspect;
      return rows;
    },

    last() {
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

function readRow(record: CsvRecord, header: Header, suspect: boolean): Row {
  const { line, fields } = record;
  const { names, idIndex } = header;
  const idField = fields[idIndex];
  const written = idField === undefined ? undefined : trimAscii(idField);
  const idProblem = written === undefined ? 'the id is missing' : problemOfId(written);
  const id = idProblem === undefined && !isDamaged(written, suspect) ? written : undefined;
  const refuse = (problem: string): Row => ({ line, id, problem });

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
