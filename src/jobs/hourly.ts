import type { Clock } from '../clock.js';

const HOUR_MS = 60 * 60_000;

/** A chore that is done at the first tick, and then every hour. */
export function hourly(clock: Clock, work: () => Promise<unknown>): () => Promise<void> {
  let dueAt = -Infinity;
  return async () => {
    if (clock.monotonic() < dueAt) return;
    dueAt = clock.monotonic() + HOUR_MS;
    await work();
  };
}
