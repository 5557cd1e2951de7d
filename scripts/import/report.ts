import { styleText } from 'node:util';
import type { ImportReport } from '../client/upload.js';
import { counted, figure, table } from '../terminal/format.js';

const SHOWN_ERRORS = 10;

/** The server's report for a person. */
export function describeReport(
  report: ImportReport,
  segment: string | undefined,
  output: NodeJS.WriteStream,
): string {
  const { received, stored, unchanged, rejected, removed } = report;
  const rows = [
    { label: 'lines', value: figure(received) },
    { label: '  stored', value: figure(stored), note: 'made or changed a profile' },
    { label: '  known already', value: figure(unchanged) },
    { label: '  rejected', value: figure(rejected) },
  ];
  const left = { label: `left the segment “${segment ?? ''}”`, value: figure(removed) };
  const mark =
    rejected === 0
      ? styleText('green', '✔', { stream: output })
      : styleText('yellow', '!', { stream: output });
  const headline =
    rejected === 0 ? 'Everything is stored.' : `Everything is stored but ${counted(rejected, 'line')}:`;
  return [
    table(segment === undefined ? rows : [...rows, left]),
    '',
    `  ${mark} ${headline}`,
    ...describeErrors(report),
    ...report.warnings.map((warning) => `  ${styleText('yellow', '!', { stream: output })} ${warning}`),
    '',
  ].join('\n');
}

/** The first of the rejected lines. */
export function describeErrors({ errors, rejected }: ImportReport): string[] {
  const shown = errors.slice(0, SHOWN_ERRORS);
  const more = rejected - shown.length;
  return [
    ...shown.map(({ line, message }) => `    line ${line}: ${message}`),
    ...(more > 0 ? [`    … and ${figure(more)} more`] : []),
  ];
}
