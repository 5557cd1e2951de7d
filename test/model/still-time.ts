import type { SandboxOptions } from '../../sandbox/sandbox.js';

/** A destination's time that passes only when it is told to. */
export interface StillTime {
  /** For a sandbox, which then decides at once what it accepts. */
  readonly sandbox: SandboxOptions;
  readonly pass: (ms: number) => void;
}

export function startStillTime(): StillTime {
  // Its answers show whole seconds.
  let now = Math.floor(Date.now() / 1_000) * 1_000;
  return {
    sandbox: { now: () => now, timeScale: 1, quotas: false, processingMs: 0, keepBodies: true },
    pass: (ms) => {
      now += ms;
    },
  };
}
