/** Lets work through one piece after the other of the same name, and different names side by side. */
export interface Turnstile {
  readonly pass: <T>(name: string, work: () => Promise<T>) => Promise<T>;
  /** Waits until nothing is under way. */
  readonly idle: () => Promise<void>;
}

/**
 * Makes a turnstile. What waits in the process for its turn holds no connection to the database, where it would wait for a
 * lock.
 */
export function createTurnstile(): Turnstile {
  const last = new Map<string, Promise<undefined>>();
  return {
    pass: async (name, work) => {
      const before = last.get(name);
      const end = Promise.withResolvers<undefined>();
      last.set(name, end.promise);
      await before;
      try {
        return await work();
      } finally {
        if (last.get(name) === end.promise) last.delete(name);
        end.resolve(undefined);
      }
    },
    idle: async () => {
      while (last.size > 0) await Promise.all(last.values());
    },
  };
}
