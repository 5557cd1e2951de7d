import { Failure, messageOf, UsageError } from './client/failure.js';
import { aborted, Interruption, interruptionSignal } from './client/interruption.js';
import { describeKept } from './demo/keep.js';
import { createNarrator, SILENT_NARRATOR } from './demo/narrator.js';
import { readOptions, USAGE, type DemoOptions } from './demo/options.js';
import { perform, SERVER } from './demo/perform.js';
import { describeResult, jsonResult } from './demo/result.js';
import { Stage } from './demo/stage.js';

// A reader that goes away, like `head`, must not leave the processes behind.
process.stdout.on('error', () => process.exit(1));

process.exitCode = await main(process.argv.slice(2));

/** The command `npm run demo`. Answers the exit code. */
async function main(args: readonly string[]): Promise<number> {
  let options: DemoOptions | 'help';
  try {
    options = readOptions(args);
  } catch (error: unknown) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`demo: ${error.message} (--help tells what there is)\n`);
    return 2;
  }
  if (options === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  const signal = interruptionSignal();
  await using stage = new Stage();
  try {
    return await show(stage, options, signal);
  } catch (error: unknown) {
    if (signal.aborted) return leave(signal);
    tellFailure(error, stage.lastLines(SERVER), options.json);
    return 1;
  }
}

async function show(stage: Stage, options: DemoOptions, signal: AbortSignal): Promise<number> {
  const narrator = options.json ? SILENT_NARRATOR : createNarrator(process.stdout);
  const { result, kept } = await perform(stage, options, narrator, signal);
  if (options.json) {
    writeJson({ ...jsonResult(result), ...(options.keep && { kept }) });
  } else {
    process.stdout.write(`\n${describeResult(result, process.stdout)}\n`);
    if (options.keep) process.stdout.write(`${describeKept(kept)}\n`);
  }
  if (options.keep) await aborted(signal);
  return result.differences.length === 0 ? 0 : 1;
}

function leave(signal: AbortSignal): number {
  process.stderr.write('\nStopped; nothing is left behind.\n');
  return signal.reason instanceof Interruption ? signal.reason.exitCode : 1;
}

function tellFailure(error: unknown, serverLog: readonly string[], json: boolean): void {
  // What nobody foresaw is told with its place.
  const message =
    error instanceof Failure ? error.message : ((error as Error | undefined)?.stack ?? messageOf(error));
  const remedy = error instanceof Failure ? error.remedy : undefined;
  if (json) {
    writeJson({ equal: false, error: { message, remedy: remedy ?? null }, serverLog });
    return;
  }
  const log = serverLog.length === 0 ? [] : ['', "The server's log ends with:", ...serverLog];
  process.stderr.write(`\n${[`✘ ${message}`, ...(remedy ? [remedy] : []), ...log].join('\n')}\n`);
}

function writeJson(value: object): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}
