import { schedule } from 'node-cron';
import type { Logger } from '../logger.js';

/** Tells every second that it is time to look what is due. Tests tick by themselves. */
export interface Ticker {
  /** @param onTick never rejects. */
  readonly start: (onTick: () => Promise<void>) => void;
  readonly stop: () => Promise<void>;
}

/** Due times are whole minutes; looking every second starts what is due on time, also where a timer comes a little early. */
const EVERY_SECOND = '* * * * * *';

/** What is due is not its business: due times are written down, and a tick that is missed costs a second. */
export function createCronTicker(logger: Logger): Ticker {
  // Of itself it speaks to standard output, which is for JSON lines. That a look took longer than a second is no news.
  const quiet = (message: string | Error) => {
    logger.debug({ message: String(message) }, 'node-cron');
  };
  const cronLogger = { info: quiet, warn: quiet, error: quiet, debug: quiet };
  let task: ReturnType<typeof schedule> | undefined;
  return {
    start: (onTick) => {
      task = schedule(EVERY_SECOND, onTick, { noOverlap: true, logger: cronLogger });
    },
    stop: async () => {
      await task?.destroy();
    },
  };
}
