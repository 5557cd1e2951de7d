import 'reflect-metadata';
import { dirname } from 'node:path';
import { readFlags } from '../scripts/client/command-line.js';
import { UsageError } from '../scripts/client/failure.js';
import { Interruption, interruptionSignal } from '../scripts/client/interruption.js';
import { duration, figure, table } from '../scripts/terminal/format.js';
import { createProgressBar, type ProgressBar } from '../scripts/terminal/progress-bar.js';
import { ConfigError, describeAddress, readDatabaseAddress } from './config.js';
import type { DatabaseAddress } from './database.js';
import { describeError } from './errors.js';
import type { Moved, MoveStep } from './moving/move.js';
import { MoveError } from './moving/move-error.js';
import { moveServer, type MoveOfServer } from './server/move.js';

const USAGE = `Moves everything from a SQLite file into an empty Postgres database.

  npm run move -- sqlite:./data/sluice.db postgres://user:password@host/database [--json]

All or nothing: everything goes in one transaction, and is compared with the file before it counts. Stop the server
first. The file stays as it is. The password may also come from PGPASSWORD.

  --json   one line of JSON at the end, for programs
  --help   this
`;

type Addresses = Pick<MoveOfServer, 'from' | 'to'>;

process.exitCode = await main(process.argv.slice(2));

/** The command `npm run move`: see "Moving to Postgres" in the README. Answers the exit code. */
async function main(args: readonly string[]): Promise<number> {
  const json = args.includes('--json');
  const signal = interruptionSignal();
  try {
    const addresses = readAddresses(args);
    if (addresses === 'help') {
      process.stdout.write(USAGE);
      return 0;
    }
    const from = performance.now();
    const moved = await move(addresses, signal, json);
    tellEnd(addresses, moved, Math.round(performance.now() - from), json);
    return 0;
  } catch (error: unknown) {
    if (error instanceof UsageError) {
      process.stderr.write(`move: ${error.message} (--help tells what there is)\n`);
      return 2;
    }
    tellFailure(error, json);
    return error instanceof Interruption ? error.exitCode : 1;
  }
}

/** @throws {UsageError} for anything but a SQLite file and a Postgres. */
function readAddresses(args: readonly string[]): Addresses | 'help' {
  const { values, positionals } = readFlags(args, { json: { type: 'boolean' }, help: { type: 'boolean' } });
  if (values.help) return 'help';
  const [from, to] = positionals.map((address) => addressOf(address));
  if (positionals.length === 2 && from?.kind === 'sqlite' && to?.kind === 'postgres') return { from, to };
  throw new UsageError('expected two addresses, sqlite:… to move from and postgres://… to move to');
}

function addressOf(text: string): DatabaseAddress | undefined {
  try {
    return readDatabaseAddress(text);
  } catch (error: unknown) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}

async function move(addresses: Addresses, signal: AbortSignal, json: boolean): Promise<Moved> {
  let bar: ProgressBar | undefined;
  let shown = '';
  const onStep = ({ phase, table: name, rows, of }: MoveStep) => {
    const label = `${phase.padEnd('verifying'.length)} ${name.padEnd('segment_generations'.length)}`;
    if (label !== shown) {
      bar?.stop();
      bar = createProgressBar(process.stdout, label);
      shown = label;
    }
    bar?.update(rows, of, `${figure(rows)} rows`);
  };
  try {
    return await moveServer({ ...addresses, signal, onStep: json ? () => undefined : onStep });
  } finally {
    bar?.stop();
  }
}

function tellEnd({ from, to }: Addresses, moved: Moved, tookMs: number, json: boolean): void {
  const settings = { DATABASE_URL: describeAddress(to), SLUICE_DATA_FOLDER: dirname(from.file) };
  if (json) {
    process.stdout.write(`${JSON.stringify({ tables: moved, tookMs, settings })}\n`);
    return;
  }
  const rows = moved.map(({ table: label, rows: count, checksum }) => ({
    label,
    value: figure(count),
    note: `sha256 ${checksum.slice(0, 12)}…`,
  }));
  const total = moved.reduce((sum, { rows: count }) => sum + count, 0);
  process.stdout.write(`
${table(rows)}

✔ ${figure(total)} rows moved in ${duration(tookMs)}, and the same on both sides.

Start the server with the settings that it had, and these:

  DATABASE_URL=${settings.DATABASE_URL}
  SLUICE_DATA_FOLDER=${settings.SLUICE_DATA_FOLDER}

The data folder holds the secret key (secret.key) that opens the stored API keys and secrets. A server on another machine
wants it in SLUICE_SECRET_KEY; so does NODE_ENV=production. If you gave SLUICE_SECRET_KEY until now, give the same again.

Tokens and triggers work as before, and a run that was under way goes on. Start no server on the SQLite file any more: it
would send the same runs a second time. Keep it as a backup until you no longer want it.
`);
}

function tellFailure(error: unknown, json: boolean): void {
  const { message, remedy } = describeFailure(error);
  if (json) process.stdout.write(`${JSON.stringify({ error: { message, remedy } })}\n`);
  else process.stderr.write(`\n✘ ${message}\n${remedy}\n`);
}

function describeFailure(error: unknown): { message: string; remedy: string } {
  if (error instanceof MoveError) return error;
  if (error instanceof Interruption)
    return {
      message: 'Cancelled: the target is empty, the file as it was.',
      remedy: 'Call it again whenever you like.',
    };
  return {
    message: `The move broke off: ${describeError(error)}.`,
    // A connection that is lost in the middle of the commit leaves it open whether that was made.
    remedy: 'The file is as it was. Mend the cause and call this again: it tells if the target is not empty.',
  };
}
