/** Runs of one account that prepare at the same time at most. */
const PREPARING_OF_ACCOUNT = 3;
/** Runs of all accounts that prepare at the same time at most, in one process: each takes some 12 to 18 MB. */
const PREPARING_IN_PROCESS = 6;

/**
 * Places to prepare. Preparing is work for the processor and the disk, and takes memory, so that more at once are not
 * quicker: a run without a place waits as it is, QUEUED, or RUNNING if an earlier worker began it.
 *
 * A place of the account is taken before a run begins. Before it prepares, the run asks the destination, which may be away
 * for an hour. So a place of the process is taken after these questions: accounts that wait for their destinations keep no other
 * account waiting.
 */
export interface PreparingPlaces {
  /**
   * Takes a place of the account.
   * @param notify called once, when a place has become free, if none is now.
   * @returns what frees the place, and may be called again; undefined: none is free.
   */
  readonly take: (account: string, notify: () => void) => (() => void) | undefined;
  /**
   * Waits for a place of the process.
   * @returns what frees the place. @throws the signal's reason as soon as it aborts.
   */
  readonly enter: (signal: AbortSignal) => Promise<() => void>;
}

export function createPreparingPlaces(): PreparingPlaces {
  const taken = new Map<string, number>();
  /** Who is told when an account has a place, in the order in which they asked. */
  const waiting = new Set<() => void>();
  let inside = 0;
  /** Who waits for a place of the process, in that order too. */
  const queue: (() => void)[] = [];

  const change = (account: string, by: 1 | -1) => {
    const count = (taken.get(account) ?? 0) + by;
    if (count === 0) taken.delete(account);
    else taken.set(account, count);
  };

  const leave = () => {
    inside -= 1;
    queue.shift()?.();
  };

  return {
    take: (account, notify) => {
      if ((taken.get(account) ?? 0) >= PREPARING_OF_ACCOUNT) {
        waiting.add(notify);
        return undefined;
      }
      change(account, 1);
      let isTaken = true;
      return () => {
        if (!isTaken) return;
        isTaken = false;
        change(account, -1);
        const toNotify = [...waiting];
        waiting.clear();
        for (const tell of toNotify) tell();
      };
    },

    enter: async (signal) => {
      while (inside >= PREPARING_IN_PROCESS) await nextOf(queue, signal);
      signal.throwIfAborted();
      inside += 1;
      return leave;
    },
  };
}

/** Waits to be called from the queue. @throws the signal's reason as soon as it aborts; the call goes to the next one then. */
async function nextOf(queue: (() => void)[], signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const called = Promise.withResolvers<undefined>();
  const call = () => {
    called.resolve(undefined);
  };
  const giveUp = () => {
    const index = queue.indexOf(call);
    if (index === -1) queue.shift()?.();
    else queue.splice(index, 1);
    called.reject(signal.reason as Error);
  };
  queue.push(call);
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    await called.promise;
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}
