import { styleText } from 'node:util';
import { counted, duration, figure, table } from '../terminal/format.js';
import type { Violation } from './violations.js';

/** What came of it; printed as it is with `--json`. */
export interface Result {
  readonly seed: number;
  readonly kills: number;
  /** How many were asked for; a point that was not come by costs a kill more. */
  readonly dealt: number;
  /** How often the server died where. */
  readonly byPoint: Readonly<Record<string, number>>;
  readonly restarts: number;
  /** Runs by their final state. */
  readonly runs: Readonly<Record<string, number>>;
  /** Runs that went on after a kill. */
  readonly takenUpAgain: number;
  readonly destination: {
    readonly calls: number;
    readonly batches: number;
    readonly contactsSent: number;
    readonly faults: number;
  };
  /** Addresses that were in two undecided batches because a kill or a fault kept the first one's receipt or results back. */
  readonly excusedOverlaps: number;
  readonly reportedInDoubt: number;
  readonly msForEachKill: number;
  readonly tookMs: number;
  readonly violations: readonly Violation[];
  /** Kept, with the database and the log, when there is something to look into. */
  readonly folder: string | null;
}

/** The result for the person who reads it. */
export function describeResult(result: Result, output: NodeJS.WriteStream): string {
  const { destination, violations } = result;
  const points = Object.entries(result.byPoint).map(([label, hits]) => ({ label, value: figure(hits) }));
  const runs = Object.entries(result.runs).map(([label, many]) => ({ label, value: figure(many) }));
  const good = violations.length === 0;
  return [
    `  ${counted(result.kills, 'kill')} in ${duration(result.tookMs)}, ${duration(result.msForEachKill)} each; seed ${result.seed}`,
    '',
    table(points),
    '',
    `  Runs, ${figure(result.takenUpAgain)} of which went on after a kill:`,
    table(runs),
    '',
    `  The sandbox took ${counted(destination.calls, 'call')}, ${figure(destination.batches)} of them batches of ${figure(destination.contactsSent)} contacts in all, and had ${counted(destination.faults, 'fault')} of its own.`,
    '',
    good
      ? `  ${styleText('green', '✔', { stream: output })} Nothing was found wrong.`
      : describeViolations(result, output),
  ].join('\n');
}

function describeViolations({ violations, folder, seed, dealt }: Result, output: NodeJS.WriteStream): string {
  return [
    ...violations.map(
      ({ rule, detail }) => `  ${styleText('red', '✘', { stream: output })} ${rule}: ${detail}`,
    ),
    '',
    `  The database and the log are kept in ${String(folder)}.`,
    `  The same story again: npm run chaos -- --kills ${dealt} --seed ${seed}`,
  ].join('\n');
}
