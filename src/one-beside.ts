/** Work that goes on beside what its caller does next. */
export interface OneBeside extends AsyncDisposable {
  /** Begins the work as soon as the one before it has ended. @throws what that one ended with. */
  readonly begin: (work: () => Promise<void>) => Promise<void>;
  /** Waits for the last one. @throws what it ended with. */
  readonly done: () => Promise<void>;
}

/**
 * Lets one piece of work at a time go on beside its caller, who prepares the next meanwhile. Nothing goes on any more
 * once it is disposed of, also when the caller gives up because of something else.
 */
export function oneBeside(): OneBeside {
  let last = Promise.resolve();
  return {
    begin: async (work) => {
      await last;
      last = work();
      // Whoever waits for it next hears of its failure.
      last.catch(() => undefined);
    },
    done: () => last,
    [Symbol.asyncDispose]: () => last.catch(() => undefined),
  };
}
