import { availableParallelism, loadavg } from 'node:os';
import type { Databases } from '../databases/databases.js';
import { figure, table } from '../terminal/format.js';
import type { Measurement } from './bench.js';
import type { BenchOptions } from './options.js';
import { judge, medians, type Judged } from './verdict.js';

export interface Report {
  readonly median: Measurement;
  readonly goals: readonly Judged[];
  readonly met: boolean;
}

export function reportOf(
  { bench, profiles, ids }: BenchOptions,
  { kind }: Databases,
  runs: readonly Measurement[],
): Report {
  const goals = judge(runs, bench.goals({ profiles, ids, database: kind }));
  return { median: medians(runs), goals, met: goals.every(({ met }) => met) };
}

/** For people. */
export function describeReport(
  { bench, profiles, repeat }: BenchOptions,
  { product }: Databases,
  report: Report,
): string {
  const rows = Object.entries(report.median).map(([label, value]) => {
    const goal = report.goals.find((candidate) => candidate.figure === label);
    const note = goal === undefined ? '' : `${describeGoal(goal)}: ${goal.met ? 'met' : 'MISSED'}`;
    return { label, value: value === null ? '–' : figure(value), note };
  });
  const title = `  ${bench.name}, ${figure(profiles)} profiles on ${product}, ${repeat === 1 ? 'once' : `median of ${repeat}`}`;
  const notLinux = report.median.peakRssMb === null ? '\n    Peak memory is measured on Linux only.' : '';
  return `\n${title}\n\n${table(rows)}${notLinux}\n`;
}

/** For programs: one line. */
export function jsonReport(
  { bench, profiles, ids }: BenchOptions,
  { product }: Databases,
  runs: readonly Measurement[],
  report: Report,
): string {
  const goal = Object.fromEntries(report.goals.map(({ figure: name, ...rest }) => [name, rest]));
  const machine = {
    cores: availableParallelism(),
    node: process.version,
    platform: process.platform,
    // More than the cores: something else was at work, and the figures say little.
    loadAverage: loadavg().map((load) => Number(load.toFixed(1))),
  };
  const { name } = bench;
  return JSON.stringify({
    ...{ bench: name, database: product, profiles, ids },
    ...report.median,
    ...{ goal, met: report.met, runs, machine },
  });
}

function describeGoal({ atLeast, atMost, exactly }: Judged): string {
  if (exactly !== undefined) return `exactly ${figure(exactly)}`;
  return atLeast === undefined ? `at most ${figure(atMost ?? 0)}` : `at least ${figure(atLeast)}`;
}
