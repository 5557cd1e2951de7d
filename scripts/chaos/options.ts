import { readFlags, readNumber } from '../client/command-line.js';
import { UsageError } from '../client/failure.js';

export const USAGE = `Kills the server again and again, at any time and at named points, while it imports, exports and cancels and the
destination has faults of its own; then holds what ActiveCampaign's sandbox has against what was meant.

  npm run chaos -- --kills 200

  --kills N   how often (default 50)
  --seed S    tells the same story again, as far as timing allows (default: a new one)
  --database  postgres://…, an empty database, instead of a SQLite file
  --json      print one line of JSON and nothing else; with npm run --silent
  --help      print this

Exit code 0: nothing was found wrong, and every point that was dealt was hit; 1: something was, and the folder with the
database and the log is kept; 2: the command line is wrong.
`;

export interface ChaosOptions {
  readonly kills: number;
  readonly seed: number;
  /** A Postgres; undefined: a SQLite file. */
  readonly database: string | undefined;
  readonly json: boolean;
}

const DEFAULT_KILLS = '50';
const MAX_KILLS = 10_000;
const MAX_SEED = 2 ** 32 - 1;

/** @throws {UsageError} that says what is wrong with the command line. */
export function readOptions(args: readonly string[]): ChaosOptions | 'help' {
  const { values, positionals } = readFlags(args, {
    kills: { type: 'string', default: DEFAULT_KILLS },
    seed: { type: 'string' },
    database: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  });
  if (values.help) return 'help';
  if (positionals[0] !== undefined) throw new UsageError(`"${positionals[0]}" is not understood.`);
  const { database, seed } = values;
  if (database !== undefined && !/^postgres(ql)?:\/\/./.test(database)) {
    throw new UsageError(`--database wants the address of a Postgres, postgres://…, not "${database}".`);
  }
  return {
    kills: readNumber('kills', values.kills, { min: 1, max: MAX_KILLS, whole: true }),
    seed: seed === undefined ? newSeed() : readNumber('seed', seed, { min: 0, max: MAX_SEED, whole: true }),
    database,
    json: values.json,
  };
}

function newSeed(): number {
  return Math.floor(Math.random() * MAX_SEED);
}
