/** Runs of one account that prepare at the same time at most. */
export const PREPARING_OF_ACCOUNT = 3;
/** Runs of all accounts that prepare at the same time at most, in one process: each takes some 12 to 18 MB. */
export const PREPARING_IN_PROCESS = 6;

/**
 * Places to prepare. Preparing is work for the processor and the disk, and takes memory, so that more at once are not
 * quicker: a run without a place waits as it is, QUEUED, or RUNNING if an earlier worker began it.
 */
export interface PreparingPlaces {
  /**
   * Takes a place for a run of the account.
   * @param notify called once, when a place has become free, if none is now.
   * @returns what frees the place, and may be called again; undefined: none is free.
   */
  readonly take: (account: string, notify: () => void) => (() => void) | undefined;
}

export function createPreparingPlaces(limits?: {
  readonly ofAccount: number;
  readonly inProcess: number;
}): PreparingPlaces {
  const { ofAccount, inProcess } = limits ?? {
    ofAccount: PREPARING_OF_ACCOUNT,
    inProcess: PREPARING_IN_PROCESS,
  };
  const taken = new Map<string, number>();
  let all = 0;
  /** In the order in which they asked. */
  const waiting = new Set<() => void>();

  const change = (account: string, by: 1 | -1) => {
    all += by;
    const count = (taken.get(account) ?? 0) + by;
    if (count === 0) taken.delete(account);
    else taken.set(account, count);
  };

  return {
    take: (account, notify) => {
      if (all >= inProcess || (taken.get(account) ?? 0) >= ofAccount) {
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
  };
}
