import type { Bell } from '../bell.js';
import { cancelForgottenRuns } from '../exports/hold.js';
import type { RunServices } from '../exports/runs.js';
import type { Logger } from '../logger.js';

/** Cancels held runs that nobody has decided about for too long; idle while no run is held. */
export interface HeldRunsWatch {
  readonly start: () => void;
  /** Resolves when nothing of it is under way any more. */
  readonly stop: () => Promise<void>;
}

/** Timers cannot wait for much longer than three weeks, and clocks are set: it looks again every hour. */
const INTERVAL_MS = 60 * 60_000;

/** What it needs to know is on the rows: it may be stopped and started as often as the server is. */
export function createHeldRunsWatch(
  services: RunServices & { readonly logger: Logger; readonly heldBell: Bell },
): HeldRunsWatch {
  const { clock, logger, heldBell } = services;
  let isStopping = false;
  let watching = Promise.resolve();

  /** @returns whether there is still somebody to wait for. */
  const look = async (): Promise<boolean> => {
    try {
      return await cancelForgottenRuns(services);
    } catch (error: unknown) {
      logger.error({ err: error }, 'held runs could not be looked through; it is tried again in an hour');
      return true;
    }
  };

  const watch = async () => {
    for (;;) {
      const seen = heldBell.count();
      if (isStopping) return;
      const isAnyHeld = await look();
      await heldBell.after(seen, isAnyHeld ? clock.monotonic() + INTERVAL_MS : undefined);
    }
  };

  return {
    start: () => {
      watching = watch();
    },
    stop: async () => {
      isStopping = true;
      heldBell.ring();
      await watching;
    },
  };
}
