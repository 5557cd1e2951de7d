import type { Clock } from '../clock.js';

/** How often each trigger may be called. Counted before anybody knows whether there is such a trigger. */
export interface CallRate {
  /** Counts a call. @returns how many seconds to wait, when there were too many; undefined: it may pass. */
  readonly take: (triggerId: string) => number | undefined;
}

interface Window {
  readonly endsAt: number;
  calls: number;
}

const WINDOW_MS = 60_000;
const ID = /^[0-9a-f-]{36}$/;
/** Whoever makes ids up must not fill the memory: beyond so many, and for what is no id, there is one window for all. */
const MAX_WINDOWS = 100_000;
const SWEEP_MS = 1_000;
const EVERYBODY_ELSE = '';

/** Each trigger has its own minute, which begins with its first call. */
export function createCallRate(clock: Clock, perMinute: number): CallRate {
  const windows = new Map<string, Window>();
  let sweptAt = -Infinity;

  const forgetThePast = (now: number) => {
    if (now - sweptAt < SWEEP_MS) return;
    sweptAt = now;
    for (const [key, { endsAt }] of windows) if (endsAt <= now) windows.delete(key);
  };

  const windowOf = (key: string, now: number): Window => {
    const known = windows.get(key);
    if (known !== undefined && known.endsAt > now) return known;
    if (windows.size >= MAX_WINDOWS) forgetThePast(now);
    if (windows.size >= MAX_WINDOWS && key !== EVERYBODY_ELSE) return windowOf(EVERYBODY_ELSE, now);
    const opened = { endsAt: now + WINDOW_MS, calls: 0 };
    windows.set(key, opened);
    return opened;
  };

  return {
    take: (triggerId) => {
      const now = clock.now();
      const window = windowOf(ID.test(triggerId) ? triggerId : EVERYBODY_ELSE, now);
      window.calls += 1;
      return window.calls > perMinute ? Math.ceil((window.endsAt - now) / 1_000) : undefined;
    },
  };
}
