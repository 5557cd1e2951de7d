import { messageOf, UsageError } from '../client/failure.js';
import { Interruption, interruptionSignal } from '../client/interruption.js';
import { createProgressBar } from '../terminal/progress-bar.js';
import { tellStory } from './chaos.js';
import { readOptions, USAGE, type ChaosOptions } from './options.js';
import { describeResult } from './result.js';
import { Folder } from './server-process.js';

// A reader that goes away, like `head`, must not leave the processes behind.
process.stdout.on('error', () => process.exit(1));

process.exitCode = await main(process.argv.slice(2));

/** The command `npm run chaos`. Answers the exit code. */
async function main(args: readonly string[]): Promise<number> {
  let options: ChaosOptions | 'help';
  try {
    options = readOptions(args);
  } catch (error: unknown) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`chaos: ${error.message} (--help tells what there is)\n`);
    return 2;
  }
  if (options === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  const signal = interruptionSignal();
  using folder = new Folder(options.database);
  try {
    return await show(folder, options, signal);
  } catch (error: unknown) {
    if (signal.reason instanceof Interruption) {
      process.stderr.write('\nStopped; nothing is left behind.\n');
      return signal.reason.exitCode;
    }
    folder.keep = true;
    const told = (error as Error | undefined)?.stack ?? messageOf(error);
    process.stderr.write(
      `\n✘ ${told}\nSeed ${options.seed}; the database and the log are kept in ${folder.path}.\n`,
    );
    return 1;
  }
}

async function show(folder: Folder, options: ChaosOptions, signal: AbortSignal): Promise<number> {
  const bar = options.json ? undefined : createProgressBar(process.stdout, 'killing');
  const result = await tellStory(folder, options, (...progress) => bar?.update(...progress), signal).finally(
    () => bar?.stop(),
  );
  folder.keep = result.folder !== null;
  const text = options.json ? JSON.stringify(result) : `\n${describeResult(result, process.stdout)}`;
  process.stdout.write(`${text}\n`);
  return result.violations.length === 0 ? 0 : 1;
}
