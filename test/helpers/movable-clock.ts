import type { Clock } from '../../src/clock.js';

/** The machine's clock, which can be set forward. */
export function movableClock(): Clock & { pass: (ms: number) => void } {
  let aheadMs = 0;
  return {
    now: () => Date.now() + aheadMs,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(resolve, ms);
        signal?.addEventListener('abort', () => {
          clearTimeout(timer);
          reject(signal.reason as Error);
        });
      }),
    pass: (ms) => {
      aheadMs += ms;
    },
  };
}
