import { readFlags, readNumber, type Bounds } from '../client/command-line.js';
import { UsageError } from '../client/failure.js';
import { kindOfFile } from '../client/profiles-file.js';

export const USAGE = `Shows Sluice at work: people → segment → connection → consent → export → ActiveCampaign's sandbox,
and then whether the sandbox holds exactly what was meant.

  npm run demo
  npm run demo -- --profiles people.csv --id customer_number

  --profiles FILE      people of your own: .csv, .ndjson or .jsonl, each also with .gz
  --id COLUMN          the column that holds the id; needed with --profiles
  --email COLUMN       the column with the e-mail address (default: the one named email)
  --first-name COLUMN  … the first name (default: first_name, if there is one)
  --last-name COLUMN   … the last name (default: last_name, if there is one)
  --phone COLUMN       … the phone number (default: phone, if there is one)
  --count N            how many people to make up without --profiles (default 10,000)
  --time-scale N       the sandbox's time, and Sluice's towards it, passes N times as fast
                       (default: so that the run takes some seconds)
  --keep               leave the server and the sandbox running until Ctrl-C
  --json               print one JSON object and nothing else; with npm run --silent
  --help               print this

Nothing leaves this machine, and nothing stays on it. Exit code 0: the sandbox holds exactly what was meant, and the run
says exactly what became of every row; 1: it does not, or something failed; 2: the command line is wrong.
`;

/** The fields of a contact that columns are mapped to. */
export const FIELDS = ['email', 'firstName', 'lastName', 'phone'] as const;
export type Field = (typeof FIELDS)[number];

export interface DemoOptions {
  /** Null: people are made up. */
  readonly profiles: { readonly path: string; readonly idColumn: string } | null;
  readonly count: number;
  /** Columns that were named on the command line. */
  readonly columns: Readonly<Partial<Record<Field, string>>>;
  readonly timeScale: number | null;
  readonly keep: boolean;
  readonly json: boolean;
}

const DEFAULT_COUNT = 10_000;
/** An export has at most a million profiles. */
const COUNTS: Bounds = { min: 1, max: 1_000_000, whole: true };
const TIME_SCALES: Bounds = { min: 1, max: 1_000_000, whole: false };

/** @throws {UsageError} that says what is wrong with the command line. */
export function readOptions(args: readonly string[]): DemoOptions | 'help' {
  const { values, positionals } = readFlags(args, {
    profiles: { type: 'string' },
    id: { type: 'string' },
    email: { type: 'string' },
    'first-name': { type: 'string' },
    'last-name': { type: 'string' },
    phone: { type: 'string' },
    count: { type: 'string' },
    'time-scale': { type: 'string' },
    keep: { type: 'boolean' },
    json: { type: 'boolean' },
    help: { type: 'boolean' },
  });
  if (values.help === true) return 'help';
  if (positionals[0] !== undefined) {
    throw new UsageError(`"${positionals[0]}" is not understood. A file is given with --profiles FILE.`);
  }
  const columns = {
    email: values.email,
    firstName: values['first-name'],
    lastName: values['last-name'],
    phone: values.phone,
  };
  const profiles = readProfiles(values.profiles, values.id);
  if (profiles === null && Object.values(columns).some((column) => column !== undefined)) {
    throw new UsageError('Columns can be named only for a file of your own: --profiles FILE.');
  }
  if (profiles !== null && values.count !== undefined) {
    throw new UsageError('--count is for people that are made up; it does not go with --profiles.');
  }
  const scale = values['time-scale'];
  return {
    profiles,
    count: values.count === undefined ? DEFAULT_COUNT : readNumber('count', values.count, COUNTS),
    columns: Object.fromEntries(Object.entries(columns).filter(([, column]) => column !== undefined)),
    timeScale: scale === undefined ? null : readNumber('time-scale', scale, TIME_SCALES),
    keep: values.keep ?? false,
    json: values.json ?? false,
  };
}

function readProfiles(path: string | undefined, idColumn: string | undefined): DemoOptions['profiles'] {
  if (path === undefined) {
    if (idColumn !== undefined) throw new UsageError('--id goes with --profiles FILE.');
    return null;
  }
  if (idColumn === undefined || idColumn.trim() === '') {
    throw new UsageError('--profiles needs --id COLUMN: the column that holds the id of each row.');
  }
  kindOfFile(path);
  return { path, idColumn: idColumn.trim() };
}
