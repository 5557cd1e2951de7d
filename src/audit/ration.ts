import type { Clock } from '../clock.js';

/**
 * How many events of a kind are written down one by one. Whoever can be refused without showing who they are, guessing
 * tokens or secrets, must not be able to fill the disk with what is written about it.
 */
export interface Ration {
  /** Counts an event. @returns how many went unwritten before this one; undefined: this one does too. */
  readonly take: () => number | undefined;
}

const WINDOW_MS = 60_000;
/** Events that are written down in that time; of those beyond only the number is, by the first one after it. */
const MAX_WRITTEN = 60;

export function createRation(clock: Clock): Ration {
  let window = { startMs: -Infinity, events: 0 };
  return {
    take: () => {
      const nowMs = clock.monotonic();
      const isOver = nowMs - window.startMs >= WINDOW_MS;
      const unwritten = isOver ? Math.max(0, window.events - MAX_WRITTEN) : 0;
      window = isOver ? { startMs: nowMs, events: 1 } : { ...window, events: window.events + 1 };
      return window.events > MAX_WRITTEN ? undefined : unwritten;
    },
  };
}
