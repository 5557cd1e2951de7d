import { systemClock } from '../../src/clock.js';
import type { Database } from '../../src/database.js';
import type { RefreshServices } from '../../src/jobs/work-refresh.js';
import { createLogger } from '../../src/logger.js';
import { openIn } from './databases.js';
import type { Sluice } from './sluice.js';

/** The server's database, opened beside it as by another process. */
export async function openBeside(sluice: Sluice): Promise<Database & AsyncDisposable> {
  return openIn(sluice.folder);
}

/** What another process would start runs with; its queue works nothing, and nobody watches it. */
export function servicesBeside(database: Database): RefreshServices {
  const nobody = () => Promise.reject(new Error('Nobody watches here.'));
  return {
    database,
    clock: systemClock,
    logger: createLogger('silent'),
    queue: { ring: () => undefined, start: () => undefined, stop: () => Promise.resolve() },
    hub: { changed: () => undefined, subscribe: nobody as never, close: () => undefined },
    pinnedGenerations: () => Promise.resolve([]),
    closing: new AbortController().signal,
  };
}
