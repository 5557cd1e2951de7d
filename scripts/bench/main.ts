import { Failure, messageOf, UsageError } from '../client/failure.js';
import { Interruption, interruptionSignal } from '../client/interruption.js';
import { openDatabases, type Databases } from '../databases/databases.js';
import { createNarrator } from '../demo/narrator.js';
import type { Bench, Measurement } from './bench.js';
import { dynamicSegment } from './benches/dynamic-segment.js';
import { firstRun } from './benches/first-run.js';
import { importBench } from './benches/import.js';
import { prepareMany, queueMany } from './benches/many-exports.js';
import { noChange } from './benches/no-change.js';
import { onePercent } from './benches/one-percent.js';
import { realLimits } from './benches/real-limits.js';
import { scale } from './benches/scale.js';
import { triggers } from './benches/triggers.js';
import { whileBusy } from './benches/while-busy.js';
import { readOptions, usage, type BenchOptions } from './options.js';
import { describeReport, jsonReport, reportOf } from './report.js';

const BENCHES: readonly Bench[] = [
  importBench,
  firstRun,
  noChange,
  onePercent,
  realLimits,
  whileBusy,
  dynamicSegment,
  triggers,
  scale,
  queueMany,
  prepareMany,
];

process.exitCode = await main(process.argv.slice(2));

/** The command `npm run bench`. Answers the exit code. */
async function main(args: readonly string[]): Promise<number> {
  let options: BenchOptions | 'help';
  try {
    options = readOptions(args, BENCHES);
  } catch (error: unknown) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`bench: ${error.message} (--help tells what there is)\n`);
    return 2;
  }
  if (options === 'help') {
    process.stdout.write(usage(BENCHES));
    return 0;
  }
  const signal = interruptionSignal();
  try {
    await using databases = await openDatabases(options.database);
    const runs = await repeat(options, databases, signal);
    const report = reportOf(options, databases, runs);
    process.stdout.write(
      `${describeReport(options, databases, report)}\n${jsonReport(options, databases, runs, report)}\n`,
    );
    return options.check && !report.met ? 1 : 0;
  } catch (error: unknown) {
    if (signal.aborted) return leave(signal);
    // What nobody foresaw is told with its place.
    const unforeseen = (error as Error | undefined)?.stack ?? messageOf(error);
    process.stderr.write(`bench: ${error instanceof Failure ? error.message : unforeseen}\n`);
    return 1;
  }
}

function leave(signal: AbortSignal): number {
  process.stderr.write('\nStopped; nothing is left behind.\n');
  return signal.reason instanceof Interruption ? signal.reason.exitCode : 1;
}

async function repeat(
  options: BenchOptions,
  databases: Databases,
  signal: AbortSignal,
): Promise<Measurement[]> {
  // Progress is for who watches; standard output is for the result.
  const narrator = createNarrator(process.stderr);
  const runs: Measurement[] = [];
  for (let run = 1; run <= options.repeat; run += 1) {
    narrator.step(`${options.bench.name}: ${run} of ${options.repeat}`);
    runs.push(await options.bench.measure({ ...options, databases, narrator, signal }));
  }
  return runs;
}
