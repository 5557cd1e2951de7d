import 'reflect-metadata';
import { readFlags } from '../scripts/client/command-line.js';
import { UsageError } from '../scripts/client/failure.js';
import { Interruption, interruptionSignal } from '../scripts/client/interruption.js';
import { counted, duration, figure, table } from '../scripts/terminal/format.js';
import { createProgressBar, type ProgressBar } from '../scripts/terminal/progress-bar.js';
import { systemClock } from './clock.js';
import { ConfigError, readDatabaseAddress } from './config.js';
import type { DatabaseAddress } from './database.js';
import { describeError } from './errors.js';
import type { Moved, MoveStep } from './moving/move.js';
import { MoveError } from './moving/move-error.js';
import { moveServer, settingsAfterMove, type MoveOfServer } from './server/move.js';

const USAGE = `Moves everything from a SQLite file into an empty Postgres database.

  npm run move -- sqlite:./data/sluice.db postgres://user:password@host/database [--json]

All or nothing: everything goes in one transaction, and is compared with the file before it counts. Stop the server
first. The file stays as it is. The password may also come from PGPASSWORD.

  --json   one line of JSON at the end, for programs
  --help   this
`;

/** Of the longest name of a table: bars begin below each other. */
const TABLE_WIDTH = 19;

const KEY_IN_FOLDER = `The stored API keys and secrets are opened by the key in secret.key in that folder. A server on another machine, and one
with NODE_ENV=production, wants that key in SLUICE_SECRET_KEY. If you gave SLUICE_SECRET_KEY until now, give the same again.`;
const KEY_GIVEN = `The stored API keys and secrets are opened by the key that the server had: give the same SLUICE_SECRET_KEY again, or
else the same SLUICE_DATA_FOLDER.`;

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
    const from = systemClock.monotonic();
    const moved = await move(addresses, signal, json);
    tellEnd(addresses, moved, Math.round(systemClock.monotonic() - from), json);
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
    const label = `${phase.padEnd(9)} ${name.padEnd(TABLE_WIDTH)}`;
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

function tellEnd(addresses: Addresses, moved: Moved, tookMs: number, json: boolean): void {
  const settings = settingsAfterMove(addresses);
  if (json) {
    process.stdout.write(`${JSON.stringify({ tables: moved, tookMs, settings })}\n`);
    return;
  }
  const filled = moved.filter(({ rows }) => rows > 0);
  const lines = filled.map(({ table: label, rows, checksum }) => ({
    label,
    value: figure(rows),
    note: `sha256 ${checksum.slice(0, 12)}…`,
  }));
  const total = filled.reduce((sum, { rows }) => sum + rows, 0);
  const empty = counted(moved.length - filled.length, 'table');
  process.stdout.write(`
${table(lines)}

✔ ${figure(total)} rows moved in ${duration(tookMs)}, and the same on both sides; ${empty} had none.

Start the server with the settings that it had, and:

${Object.entries(settings)
  .map(([name, value]) => `  ${name}=${value}`)
  .join('\n')}

${settings.SLUICE_DATA_FOLDER === undefined ? KEY_GIVEN : KEY_IN_FOLDER}

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
