import type { Clock } from '../clock.js';
import { createBell, type Bell } from '../bell.js';
import type { AccountWorker, Queue } from '../exports/queue.js';
import type { Logger } from '../logger.js';

/** How long an account rests after its worker failed: long enough for a full disk not to fill the log as well. */
const RETRY_MS = 10_000;

/** The queue of a single process. */
export function createInProcessQueue({ clock, logger }: { clock: Clock; logger: Logger }): Queue {
  const accounts = new Map<string, { bell: Bell; done: Promise<void> }>();
  const stopping = new AbortController();
  let worker: AccountWorker | undefined;

  const work = async (account: string, bell: Bell, perform: AccountWorker) => {
    // A ring that comes after the worker has looked for the last time lets it look again.
    for (let seen = -1; bell.count() > seen && !stopping.signal.aborted;) {
      seen = bell.count();
      try {
        await perform(account, bell, stopping.signal);
      } catch (error: unknown) {
        logger.error({ account, err: error }, 'an account could not be worked; it is tried again');
        await bell.after(bell.count(), clock.monotonic() + RETRY_MS);
        seen = -1;
      }
    }
    // In the same tick as the last look at the bell: a later ring finds nobody and starts anew.
    accounts.delete(account);
  };

  const wake = (account: string) => {
    const known = accounts.get(account);
    if (known !== undefined) {
      known.bell.ring();
      return;
    }
    if (worker === undefined || stopping.signal.aborted) return;
    const bell = createBell(clock);
    const entry = { bell, done: Promise.resolve() };
    accounts.set(account, entry);
    entry.done = work(account, bell, worker);
  };

  return {
    ring: (transaction, account) => {
      transaction.afterCommit(() => {
        wake(account);
      });
      return Promise.resolve();
    },
    start: (perform, unfinished) => {
      worker = perform;
      for (const account of unfinished) wake(account);
    },
    stop: async () => {
      stopping.abort();
      const working = [...accounts.values()];
      for (const { bell } of working) bell.ring();
      await Promise.all(working.map(({ done }) => done));
    },
    // Whoever is rung for is worked at once.
    depth: () => Promise.resolve({ waiting: 0, active: accounts.size, oldestSeconds: 0 }),
  };
}
