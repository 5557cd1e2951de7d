import type { Clock } from '../clock.js';
import { RateLimitedError } from '../errors.js';
import { looksLikeId } from '../ids.js';

/** How often each trigger may be called. Counted before anybody knows whether there is such a trigger. */
export interface CallRate {
  /** Counts a call. @throws {RateLimitedError} when there were too many. */
  readonly count: (triggerId: string) => void;
}

interface Window {
  readonly endsAt: number;
  calls: number;
}

const WINDOW_MS = 60_000;
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
    count: (triggerId) => {
      const now = clock.monotonic();
      const window = windowOf(looksLikeId(triggerId) ? triggerId : EVERYBODY_ELSE, now);
      window.calls += 1;
      if (window.calls <= perMinute) return;
      throw new RateLimitedError(
        'The trigger is called too often.',
        Math.ceil((window.endsAt - now) / 1_000),
      );
    },
  };
}
