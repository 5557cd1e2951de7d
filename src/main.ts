import 'reflect-metadata';
import { collectDefaultMetrics, type Registry } from 'prom-client';
import { readConfig } from './config.js';
import { describeError } from './errors.js';
import { startServer, type Server } from './server/server.js';

const STOP_DEADLINE_MS = 10_000;
/** Ctrl-C comes twice under `npm start`: the terminal sends it to npm and to this process, and npm passes its own on. */
const SAME_CTRL_C_MS = 1_000;

try {
  const watchProcess = (register: Registry) => {
    collectDefaultMetrics({ register });
  };
  const starting = startServer(readConfig(), { watchProcess });
  // At once: who reads "listening" may send a signal the next moment.
  stopOnSignal(starting);
  tellFirstToken(await starting);
} catch (error: unknown) {
  fail(error);
}

/** Standard output is for the JSON lines of the log; what a person is to read goes to standard error. */
function tellFirstToken({ administrator: { token, file } }: Server): void {
  if (token === undefined || file === undefined) return;
  process.stderr.write(
    `\nThe administrator's token, shown this once:\n\n  ${token}\n\nIt is kept in ${file}, readable by you alone.\n\n`,
  );
}

function stopOnSignal(starting: Promise<Server>): void {
  let signals = 0;
  let isSameCtrlC = false;
  const onSignal = (signal: NodeJS.Signals) => {
    if (signal === 'SIGINT' && isSameCtrlC) return;
    isSameCtrlC = true;
    setTimeout(() => (isSameCtrlC = false), SAME_CTRL_C_MS).unref();
    signals += 1;
    // Runs go on after the next start from what is stored, so an end without ceremony loses nothing either.
    if (signals > 1) process.exit(1);
    setTimeout(() => process.exit(1), STOP_DEADLINE_MS).unref();
    starting.then((server) => server.stop()).then(() => process.exit(0), fail);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

function fail(error: unknown): never {
  process.stderr.write(`${describeError(error)}\n`);
  process.exit(1);
}
