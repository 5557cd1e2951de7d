import { readFlags } from '../client/command-line.js';
import { UsageError } from '../client/failure.js';
import { kindOfFile, type Format } from '../client/profiles-file.js';

export const USAGE = `Sends a file of profiles to a running Sluice.

  npm run import -- people.csv --id customer_number --segment "Newsletter readers"
  zcat people.ndjson.gz | npm run --silent import -- - --format ndjson --id id

  FILE             .csv (with a header row), .ndjson or .jsonl (an object a line), each also with .gz; - is standard input
  --id COLUMN      the column, or key, that holds the id of each profile
  --segment NAME   the static segment that is to hold exactly the profiles of this file; made if there is none
  --id-attribute   keeps the id also as an attribute, under the name of its column: needed where the id is the e-mail address
  --columns NAMES  the columns to read besides the id, as a line of CSV; the others are ignored (default: all)
  --short pad      takes any number of CSV rows whose last fields are missing; by default more than 1 % of them is an error
  --mode MODE      merge keeps attributes that a line does not name (default), replace drops them
  --format FORMAT  csv or ndjson, where the name of the file does not say it
  --url URL        where the server is (default: SLUICE_URL, else http://127.0.0.1:4000)
  --token TOKEN    a token; others can see a command line, so better: the variable SLUICE_TOKEN, or data/admin-token,
                   the file that the server writes at its first start
  --json           print one JSON object and nothing else; with npm run --silent
  --help           print this

Exit code 0: the file was taken to its end; lines that were rejected are reported, and cost only themselves.
1: it was refused or broke off, and the message says what is stored all the same. 2: the command line is wrong.
`;

export const STANDARD_INPUT = '-';

export interface ImportOptions {
  readonly path: string;
  readonly idColumn: string;
  readonly segment: string | undefined;
  readonly mode: string | undefined;
  readonly idAttribute: boolean | undefined;
  readonly columns: string | undefined;
  readonly short: string | undefined;
  readonly format: Format;
  readonly gzip: boolean;
  readonly url: string | undefined;
  readonly token: string | undefined;
  readonly json: boolean;
}

/** @throws {UsageError} that says what is wrong with the command line. */
export function readOptions(args: readonly string[]): ImportOptions | 'help' {
  const { values, positionals } = readFlags(args, {
    id: { type: 'string' },
    segment: { type: 'string' },
    mode: { type: 'string' },
    'id-attribute': { type: 'boolean' },
    columns: { type: 'string' },
    short: { type: 'string' },
    format: { type: 'string' },
    url: { type: 'string' },
    token: { type: 'string' },
    json: { type: 'boolean' },
    help: { type: 'boolean' },
  });
  if (values.help === true) return 'help';
  const [path, ...others] = positionals;
  if (path === undefined) throw new UsageError('Which file? npm run import -- FILE --id COLUMN.');
  if (others.length > 0) throw new UsageError(`One file at a time; "${others.join(' ')}" is too much.`);
  const idColumn = values.id?.trim() ?? '';
  if (idColumn === '')
    throw new UsageError('--id COLUMN is needed: the column that holds the id of each profile.');
  const { segment, mode, columns, short, url, token } = values;
  const idAttribute = values['id-attribute'];
  if (short !== undefined && short !== 'pad') throw new UsageError(`--short is pad, not "${short}".`);
  if (mode !== undefined && mode !== 'merge' && mode !== 'replace') {
    throw new UsageError(`--mode is merge or replace, not "${mode}".`);
  }
  const kind = kindOf(path, readFormat(values.format));
  return {
    path,
    idColumn,
    segment,
    mode,
    idAttribute,
    columns,
    short,
    ...kind,
    url,
    token,
    json: values.json ?? false,
  };
}

/** @throws {UsageError} if the text is no address of a web server. */
export function assertUrl(where: string, text: string): void {
  if (!/^https?:$/.test(URL.parse(text)?.protocol ?? '')) {
    throw new UsageError(`${where} wants an address like http://127.0.0.1:4000, not "${text}".`);
  }
}

function readFormat(text: string | undefined): Format | undefined {
  if (text === undefined || text === 'csv' || text === 'ndjson') return text;
  throw new UsageError(`--format is csv or ndjson, not "${text}".`);
}

function kindOf(path: string, format: Format | undefined): { format: Format; gzip: boolean } {
  if (path !== STANDARD_INPUT) return kindOfFile(path, format);
  if (format === undefined)
    throw new UsageError('Standard input has no name: say --format csv or --format ndjson.');
  return { format, gzip: false };
}
