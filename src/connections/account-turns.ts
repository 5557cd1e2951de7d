/** How callers' requests take part in the turns of an account that this process works just now. */
export interface AccountTurns {
  /** Performs a request in its turn. @throws the signal's reason if it aborts before the turn came. */
  readonly take: <T>(perform: () => Promise<T>, signal: AbortSignal) => Promise<T>;
  /** The destination refused a caller's request and asks to be left alone for so long. */
  readonly pause: (ms: number) => void;
}

/** Which accounts this process works: the pump of an account puts its turns here, for the calls of callers. */
export interface WorkedAccounts {
  readonly open: (account: string, turns: AccountTurns) => void;
  readonly close: (account: string, turns: AccountTurns) => void;
  readonly turnsOf: (account: string) => AccountTurns | undefined;
  /**
   * Calls in each window of the quota that the worker of an account leaves to callers of other processes, which its turns
   * do not see.
   */
  readonly callsElsewhere: number;
}

/** @param isShared whether there are other processes. */
export function createWorkedAccounts(isShared: boolean): WorkedAccounts {
  const worked = new Map<string, AccountTurns>();
  return {
    open: (account, turns) => {
      worked.set(account, turns);
    },
    close: (account, turns) => {
      if (worked.get(account) === turns) worked.delete(account);
    },
    turnsOf: (account) => worked.get(account),
    callsElsewhere: isShared ? 1 : 0,
  };
}
