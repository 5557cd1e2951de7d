import { Failure, messageOf, UsageError } from './client/failure.js';
import { Interruption, interruptionSignal } from './client/interruption.js';
import { bytesOf, openProfilesFile } from './client/profiles-file.js';
import { ImportFailure, uploadProfiles, type ImportReport } from './client/upload.js';
import { assertUrl, readOptions, STANDARD_INPUT, USAGE, type ImportOptions } from './import/options.js';
import { describeErrors, describeReport } from './import/report.js';
import { findToken } from './import/token.js';
import { size } from './terminal/format.js';
import { createProgressBar } from './terminal/progress-bar.js';

const DEFAULT_URL = 'http://127.0.0.1:4000';

process.stdout.on('error', () => process.exit(1));

process.exitCode = await main(process.argv.slice(2));

/** The command `npm run import`. Answers the exit code. */
async function main(args: readonly string[]): Promise<number> {
  const json = args.includes('--json');
  const signal = interruptionSignal();
  try {
    const options = readOptions(args);
    if (options === 'help') {
      process.stdout.write(USAGE);
      return 0;
    }
    const report = await send(options, signal);
    process.stdout.write(
      json ? `${JSON.stringify(report)}\n` : `\n${describeReport(report, options.segment, process.stdout)}\n`,
    );
    return 0;
  } catch (error: unknown) {
    if (error instanceof UsageError) {
      process.stderr.write(`import: ${error.message} (--help tells what there is)\n`);
      return 2;
    }
    if (signal.reason instanceof Interruption) {
      process.stderr.write('\nStopped. Lines that had arrived are stored; no segment was changed.\n');
      return signal.reason.exitCode;
    }
    tellFailure(error, json);
    return 1;
  }
}

async function send(options: ImportOptions, signal: AbortSignal): Promise<ImportReport> {
  const fromEnvironment = process.env.SLUICE_URL ?? '';
  const url = options.url ?? (fromEnvironment === '' ? DEFAULT_URL : fromEnvironment);
  assertUrl(options.url === undefined ? 'SLUICE_URL' : '--url', url);
  const token = await findToken(options.token, process.env.SLUICE_TOKEN);
  const isInput = options.path === STANDARD_INPUT;
  const file = isInput ? null : await openProfilesFile(options.path, options.format);
  const bar = options.json ? undefined : createProgressBar(process.stdout, 'sending');
  const onBytes = (bytes: number) => {
    if (file === null) bar?.update(bytes, null, size(bytes));
    else bar?.update(bytes, file.bytes, `${size(bytes)} of ${size(file.bytes)}`);
  };
  try {
    const body = file === null ? process.stdin : bytesOf(file);
    return await uploadProfiles({ url, token }, { ...options, onBytes }, body, signal);
  } finally {
    bar?.stop();
  }
}

function tellFailure(error: unknown, json: boolean): void {
  const message =
    error instanceof Failure ? error.message : ((error as Error | undefined)?.stack ?? messageOf(error));
  const remedy = error instanceof Failure ? error.remedy : undefined;
  const report = error instanceof ImportFailure ? error.report : undefined;
  if (json) {
    const failure = { message, remedy: remedy ?? null, report: report ?? null };
    process.stdout.write(`${JSON.stringify({ error: failure })}\n`);
    return;
  }
  const lines = [`✘ ${message}`, ...(remedy ? [remedy] : []), ...(report ? describeErrors(report) : [])];
  process.stderr.write(`\n${lines.join('\n')}\n`);
}
