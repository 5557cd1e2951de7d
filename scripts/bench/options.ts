import { readFlags, readNumber, type Bounds } from '../client/command-line.js';
import { UsageError } from '../client/failure.js';
import { DATABASE_USAGE, readDatabaseChoice, type DatabaseChoice } from '../databases/choice.js';
import type { Bench } from './bench.js';
import type { IdOrder } from './people.js';

export interface BenchOptions {
  readonly bench: Bench;
  readonly profiles: number;
  /** Of the bench that has several. */
  readonly exports: number;
  readonly repeat: number;
  readonly ids: IdOrder;
  readonly database: DatabaseChoice;
  readonly check: boolean;
}

const DEFAULT_REPEAT = 3;
const PROFILES: Bounds = { min: 100, max: 1_000_000, whole: true };
const DEFAULT_EXPORTS = 10;
const EXPORTS: Bounds = { min: 1, max: 1_000, whole: true };
const REPEAT: Bounds = { min: 1, max: 100, whole: true };

export function usage(benches: readonly Bench[]): string {
  const names = benches.map(({ name, about }) => `  ${name.padEnd(12)} ${about}`);
  return `Measures Sluice against its sandbox, each in a process of its own, on a fresh database.

  npm run bench -- NAME

${names.join('\n')}

  --repeat N         repetitions, of which the median counts (default ${DEFAULT_REPEAT})
  --profiles N       so many instead of the bench's own number; the goals stay those for that one
  --exports N        scale, queue-many, prepare-many: how many exports (default ${DEFAULT_EXPORTS}, 1,000 and 50)
  --ids ORDER        ordered (default), or random: ids in an order that has nothing to do with that of the file
  --database WHERE   ${DATABASE_USAGE}
  --check            exit code 1 if a goal is missed
  --help             print this

The last line is one JSON object. Exit code 0: it was measured; 1: it could not be, or a goal was missed under --check;
2: the command line is wrong. docs/benchmarks.md says what each figure means.
`;
}

/** @throws {UsageError} that says what is wrong with the command line. */
export function readOptions(args: readonly string[], benches: readonly Bench[]): BenchOptions | 'help' {
  const { values, positionals } = readFlags(args, {
    repeat: { type: 'string' },
    profiles: { type: 'string' },
    exports: { type: 'string' },
    ids: { type: 'string' },
    database: { type: 'string' },
    check: { type: 'boolean' },
    help: { type: 'boolean' },
  });
  if (values.help === true) return 'help';
  const [name, second] = positionals;
  const known = benches.map((bench) => bench.name).join(', ');
  if (second !== undefined) throw new UsageError(`One bench at a time, not also "${second}".`);
  if (name === undefined) throw new UsageError(`Which bench? There are ${known}.`);
  const bench = benches.find((candidate) => candidate.name === name);
  if (bench === undefined) throw new UsageError(`There is no bench "${name}"; there are ${known}.`);
  const { ids = 'ordered' } = values;
  if (ids !== 'ordered' && ids !== 'random') {
    throw new UsageError(`--ids wants ordered or random, not "${ids}".`);
  }
  return {
    bench,
    profiles:
      values.profiles === undefined ? bench.profiles : readNumber('profiles', values.profiles, PROFILES),
    exports:
      values.exports === undefined
        ? (bench.exports ?? DEFAULT_EXPORTS)
        : readNumber('exports', values.exports, EXPORTS),
    repeat: values.repeat === undefined ? DEFAULT_REPEAT : readNumber('repeat', values.repeat, REPEAT),
    ids,
    database: readDatabaseChoice(values.database),
    check: values.check ?? false,
  };
}
