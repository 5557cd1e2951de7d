import type { Sandbox } from '../../sandbox/sandbox.js';
import type { Kill } from './operations.js';

/** Kills the server at an event of the sandbox, once. */
export interface Killer {
  /** The run was requested: from now on the server may die. If the event has come by then, it dies now. */
  readonly arm: () => void;
  /** Resolves when the server runs again; undefined: it was not killed. */
  readonly killing: () => Promise<void> | undefined;
  readonly stop: () => void;
}

/** @param restart kills the server, and starts it again. */
export function killAt(sandbox: Sandbox, { at, nth }: Kill, restart: () => Promise<void>): Killer {
  let seen = 0;
  let isArmed = false;
  let killing: Promise<void> | undefined;
  const killWhenDue = () => {
    if (isArmed && seen >= nth) killing ??= restart();
  };
  const stop = sandbox.on(at, () => {
    seen += 1;
    killWhenDue();
  });
  return {
    arm: () => {
      isArmed = true;
      killWhenDue();
    },
    killing: () => killing,
    stop,
  };
}
