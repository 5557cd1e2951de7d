import type { Clock } from '../clock.js';
import type { Logger } from '../logger.js';

/** Ends consents when their grace is over; idle while none is superseded, which only a start can find. */
export interface ConsentWatch {
  readonly start: () => void;
  /** Resolves when nothing of it is under way any more. */
  readonly stop: () => Promise<void>;
}

/** Timers cannot wait for much longer than three weeks, and clocks are set. */
const MAX_SLEEP_MS = 60 * 60_000;

/** @param lapse ends what is due, and answers when the next is, in ms since 1970; undefined: none ever is. */
export function createConsentWatch(
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  lapse: () => Promise<number | undefined>,
): ConsentWatch {
  const stopping = new AbortController();
  let watching = Promise.resolve();

  /** An end in between is no failure: what is due then is found at the next start. */
  const sleepUntil = async (dueMs: number) => {
    while (clock.now() < dueMs) {
      try {
        await clock.sleep(Math.min(dueMs - clock.now(), MAX_SLEEP_MS), stopping.signal);
      } catch (error: unknown) {
        if (!stopping.signal.aborted) throw error;
        return;
      }
    }
  };

  const lapseOrRetry = async (): Promise<number | undefined> => {
    try {
      return await lapse();
    } catch (error: unknown) {
      logger.error({ err: error }, 'consents could not be looked through; it is tried again in an hour');
      return clock.now() + MAX_SLEEP_MS;
    }
  };

  const watch = async () => {
    while (!stopping.signal.aborted) {
      const dueMs = await lapseOrRetry();
      if (dueMs === undefined) return;
      await sleepUntil(dueMs);
    }
  };

  return {
    start: () => {
      watching = watch();
    },
    stop: async () => {
      stopping.abort(new Error('The server is stopping.'));
      await watching;
    },
  };
}
