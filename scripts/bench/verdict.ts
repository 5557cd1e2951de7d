import type { Goal, Measurement } from './bench.js';

export interface Judged extends Goal {
  /** The figure by which it is judged; null: it could not be measured here, and is not judged. */
  readonly is: number | null;
  readonly met: boolean;
}

/** The median of each figure; of an even number of runs, the lower of the two in the middle. */
export function medians(runs: readonly Measurement[]): Measurement {
  const [first] = runs;
  if (first === undefined) throw new Error('Nothing was measured');
  const figures = Object.keys(first).map((figure) => [figure, medianOf(valuesOf(runs, figure))] as const);
  return { ...first, ...Object.fromEntries(figures) };
}

/** Speeds, times and sizes are judged by their median; what must be exact must be so in every run. */
export function judge(runs: readonly Measurement[], goals: readonly Goal[]): Judged[] {
  return goals.map((goal) => {
    const values = valuesOf(runs, goal.figure);
    const strays = values.filter((value) => value !== goal.exactly);
    const is = goal.exactly === undefined ? medianOf(values) : (strays[0] ?? medianOf(values));
    return { ...goal, is, met: is === null || fits(is, goal) };
  });
}

function fits(value: number, { atLeast, atMost, exactly }: Goal): boolean {
  if (exactly !== undefined) return value === exactly;
  return value >= (atLeast ?? -Infinity) && value <= (atMost ?? Infinity);
}

function valuesOf(runs: readonly Measurement[], figure: string): number[] {
  return runs.flatMap((run) => run[figure] ?? []);
}

function medianOf(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? null;
}
