/**
 * The only source of time. Tests pass their own, so that hours pass when they say so.
 *
 * A clock has two readings. The wall clock is for people, for rows and for comparisons with stored moments. It is set
 * forward and back, by an administrator, by NTP or after a suspension, so the difference of two of its readings is no
 * duration. The monotonic clock is for everything that takes or waits for a time within this process.
 */
export interface Clock {
  /** The wall clock: milliseconds since 1970, UTC. */
  now(): number;
  /**
   * The monotonic clock: milliseconds since some moment of this process, with fractions. It never runs backwards and
   * nobody can set it. It stands still while the machine is suspended; see `isWithin`.
   */
  monotonic(): number;
  /**
   * Resolves after so many milliseconds of the monotonic clock; rejects with the signal's reason as soon as it aborts.
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Both readings of one moment. */
export interface Instant {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/** Reads both clocks. */
export function instantOf(clock: Clock): Instant {
  return { wallMs: clock.now(), monotonicMs: clock.monotonic() };
}

/**
 * Whether less than `ms` have passed since the instant, by both clocks: for everything that others may do when that time
 * has passed. A suspended machine stops the monotonic clock, and a wall clock that was put back shows too little: each
 * of them alone would call an old proof fresh. A wall clock that shows a moment before the instant was set: false.
 */
export function isWithin(clock: Clock, since: Instant, ms: number): boolean {
  const { wallMs, monotonicMs } = instantOf(clock);
  const wallAgeMs = wallMs - since.wallMs;
  return wallAgeMs >= 0 && wallAgeMs < ms && monotonicMs - since.monotonicMs < ms;
}

/** The machine's own time. */
export const systemClock: Clock = {
  now: () => Date.now(),

  monotonic: () => performance.now(),

  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal?.reason as Error);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      }, ms);
      signal?.addEventListener('abort', onAbort, { once: true });
    }),
};
