import { styleText } from 'node:util';
import { counted, duration, figure, table, type TableRow } from '../terminal/format.js';
import type { Meant, SkipReason } from './meant.js';
import type { Rejected } from './rejections.js';
import type { Calls } from './sandbox-record.js';
import type { FinishedRun } from './watch-run.js';

/** What came of it all. */
export interface Result {
  readonly meant: Meant;
  readonly run: FinishedRun;
  readonly rejections: readonly Rejected[];
  readonly calls: Calls;
  readonly timeScale: number;
  /** None: the sandbox holds exactly what was meant, and the run's figures say so. */
  readonly differences: readonly string[];
}

const SHOWN_DIFFERENCES = 10;

/** The result for a person. */
export function describeResult(result: Result, output: NodeJS.WriteStream): string {
  const heading = (text: string) => styleText('bold', `  ${text}`, { stream: output });
  return [
    heading('What became of every row'),
    table(rowsTable(result)),
    '',
    heading('How it went'),
    table(timesTable(result)),
    '',
    verdict(result.differences, output),
    '',
  ].join('\n');
}

/** The result for programs. */
export function jsonResult({ meant, run, calls, timeScale, differences }: Result): object {
  return {
    equal: differences.length === 0,
    differences,
    rows: {
      inTheFile: meant.rows,
      rejectedByTheImport: meant.rejectedRows,
      repeatedIds: meant.repeatedRows,
      profiles: meant.profiles,
      missingEmail: skippedFor(meant, 'MISSING_EMAIL').length,
      invalidEmail: skippedFor(meant, 'INVALID_EMAIL').length,
      duplicateEmail: skippedFor(meant, 'DUPLICATE_EMAIL').length,
      meantToBeSent: meant.contacts.size,
    },
    run: { id: run.id, state: run.state, problem: run.problem, ...run.progress },
    calls,
    timeScale,
    runMs: lengthOf(run),
    destinationMs: lengthOf(run) * timeScale,
  };
}

function rowsTable({ meant, run, rejections }: Result): TableRow[] {
  const { confirmed, rejected, unconfirmed, notSent, toSend } = run.progress;
  const refused = rejections.filter(({ reason }) => reason === 'REFUSED_BY_DESTINATION');
  const row = (label: string, value: number, note = ''): TableRow => ({ label, value: figure(value), note });
  const unlessNone = (label: string, value: number): TableRow[] => (value === 0 ? [] : [row(label, value)]);
  const invalid = skippedFor(meant, 'INVALID_EMAIL');
  return [
    row('rows in the file', meant.rows),
    ...unlessNone('  rejected by the import', meant.rejectedRows),
    ...unlessNone('  of an id that came before', meant.repeatedRows),
    row('profiles', meant.profiles),
    row('  without an e-mail address', skippedFor(meant, 'MISSING_EMAIL').length),
    row('  with an invalid one', invalid.length, examples(invalid)),
    row("  with another profile's address", skippedFor(meant, 'DUPLICATE_EMAIL').length),
    row('sent', toSend),
    row('  confirmed by the destination', confirmed),
    row('  refused by it', rejected, examples(refused.map(({ email }) => email ?? ''))),
    ...unlessNone('  outcome unknown', unconfirmed),
    ...unlessNone('  not sent after all', notSent),
  ];
}

function timesTable({ run, calls, timeScale }: Result): TableRow[] {
  const hereMs = lengthOf(run);
  const thereMs = hereMs * timeScale;
  const perMinute = thereMs === 0 ? 0 : Math.round(run.progress.confirmed / (thereMs / 60_000));
  const line = (label: string, note: string): TableRow => ({ label, value: '', note });
  return [
    line('state of the run', run.state),
    line(
      'importer calls',
      `${figure(calls.importer)}; ${figure(calls.tooFast)} calls were refused as too fast`,
    ),
    line('time', `${duration(hereMs)} here, ${duration(thereMs)} by the destination's clock`),
    line('speed', `${counted(perMinute, 'contact')} a minute by the destination's clock`),
  ];
}

function verdict(differences: readonly string[], output: NodeJS.WriteStream): string {
  const style = (format: 'green' | 'red', text: string) =>
    styleText(['bold', format], text, { stream: output });
  if (differences.length === 0) return style('green', '  Sandbox holds exactly what was meant ✔');
  const more = differences.length - SHOWN_DIFFERENCES;
  return [
    style('red', `  ✘ ${counted(differences.length, 'difference')} between what was meant and what is`),
    ...differences.slice(0, SHOWN_DIFFERENCES).map((difference) => `    ${difference}`),
    ...(more > 0 ? [`    … and ${figure(more)} more (--json has them all)`] : []),
  ].join('\n');
}

function skippedFor({ skipped }: Meant, reason: SkipReason): string[] {
  return [...skipped.values()].filter((skip) => skip.reason === reason).map(({ email }) => email);
}

function examples(emails: readonly string[]): string {
  const shown = [...new Set(emails)].slice(0, 2).map((email) => `"${email}"`);
  return shown.length === 0 ? '' : `such as ${shown.join(' and ')}`;
}

function lengthOf({ startedAt, finishedAt }: FinishedRun): number {
  return startedAt === null || finishedAt === null ? 0 : Date.parse(finishedAt) - Date.parse(startedAt);
}
