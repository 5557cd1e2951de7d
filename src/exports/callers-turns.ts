import type { Clock } from '../clock.js';
import type { AccountTurns } from '../connections/account-turns.js';
import type { Pace } from './pace.js';
import type { Turns } from './turns.js';

/** Before every run: somebody waits, and callers make one request in a second at the most. */
const FIRST = -1;

/** The turns of an account as callers take part in them. */
export function callersTurns({ pace, turns }: { pace: Pace; turns: Turns }, clock: Clock): AccountTurns {
  const priority = () => FIRST;
  return {
    take: (perform, signal) => turns.take({ kind: 'CALL', priority, signal }, () => perform()),
    pause: (ms) => {
      pace.pauseUntil(clock.monotonic() + ms);
    },
  };
}
