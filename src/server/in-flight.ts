import type { RequestHandler } from 'express';

/** Knows which handlers are still at work, also after their connection was cut. */
export interface InFlight {
  /** The same handler, known while it works. */
  track(handler: RequestHandler): RequestHandler;
  /** Resolves when none is at work. */
  settled(): Promise<void>;
}

export function createInFlight(): InFlight {
  const working = new Set<Promise<unknown>>();
  return {
    track: (handler) => async (request, response, next) => {
      const work = Promise.resolve(handler(request, response, next));
      working.add(work);
      try {
        await work;
      } finally {
        working.delete(work);
      }
    },
    settled: async () => {
      await Promise.allSettled(working);
    },
  };
}
