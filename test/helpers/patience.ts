import type { Sandbox } from '../../sandbox/sandbox.js';
import type { StartDeadline } from '../../src/destinations/http.js';

/**
 * Decides when a call to a destination has waited too long for its answer: when the test says so, not when a time has
 * passed, in which a slow machine may not have given an answer either.
 */
export interface Patience {
  readonly startDeadline: StartDeadline;
  /** Breaks off every call that is under way. */
  readonly runOut: () => void;
  /**
   * Breaks off the calls that the sandbox leaves without an answer, as soon as no others are under way.
   * @example patience.runOutAt(sandbox);
   */
  readonly runOutAt: (sandbox: Pick<Sandbox, 'on'>) => void;
  /** The same of a destination of the test's own: it leaves one more call without an answer. */
  readonly leaveUnanswered: () => void;
}

export function createPatience(): Patience {
  const underWay = new Set<() => void>();
  let unanswered = 0;
  const runOut = () => {
    unanswered = 0;
    for (const breakOff of underWay) breakOff();
  };
  const look = () => {
    if (unanswered > 0 && underWay.size <= unanswered) runOut();
  };
  const leaveUnanswered = () => {
    unanswered += 1;
    look();
  };
  return {
    startDeadline: (breakOff) => {
      const call = () => {
        breakOff();
      };
      underWay.add(call);
      return () => {
        underWay.delete(call);
        look();
      };
    },
    runOut,
    runOutAt: (sandbox) => {
      sandbox.on('call', ({ fault }) => {
        if (fault === 'hang') leaveUnanswered();
      });
    },
    leaveUnanswered,
  };
}
