import { rounded } from './bench.js';
import { postgresFigures } from './postgres-figures.js';
import type { World } from './world.js';

/** What work costs the processors and the log of the database, for each profile; null: it cannot be told here. */
export interface Cost {
  readonly serverCpuMicrosecondsEach: number | null;
  readonly postgresCpuMicrosecondsEach: number | null;
  readonly walBytesEach: number | null;
  readonly commits: number | null;
}

/** Does the work, and answers what it cost, divided by `profiles`. */
export async function costOf<T>(
  world: World,
  profiles: number,
  work: () => Promise<T>,
): Promise<{ result: T; cost: Cost }> {
  const [before, cpuBefore] = [await postgresFigures(world.databaseUrl), world.cpuSeconds()];
  const result = await work();
  const [after, cpuAfter] = [await postgresFigures(world.databaseUrl), world.cpuSeconds()];
  const microseconds = (seconds: number | null) =>
    seconds === null ? null : rounded((seconds * 1e6) / profiles);
  const wal = difference(before?.walBytes, after?.walBytes);
  return {
    result,
    cost: {
      serverCpuMicrosecondsEach: microseconds(difference(cpuBefore, cpuAfter)),
      postgresCpuMicrosecondsEach: microseconds(difference(before?.cpuSeconds, after?.cpuSeconds)),
      walBytesEach: wal === null ? null : Math.round(wal / profiles),
      commits: difference(before?.commits, after?.commits),
    },
  };
}

function difference(from: number | null | undefined, to: number | null | undefined): number | null {
  return typeof from === 'number' && typeof to === 'number' ? to - from : null;
}
