import { Registry } from 'prom-client';
import { systemClock } from '../../src/clock.js';
import type { Database } from '../../src/database.js';
import { createEngineMetrics } from '../../src/exports/engine-metrics.js';
import type { Queue } from '../../src/exports/queue.js';
import type { RefreshServices } from '../../src/jobs/work-refresh.js';
import { createLogger } from '../../src/logger.js';
import { openIn } from './databases.js';
import type { Sluice } from './sluice.js';

/** The server's database, opened beside it as by another process. */
export async function openBeside(sluice: Sluice): Promise<Database & AsyncDisposable> {
  return openIn(sluice.folder);
}

const idleQueue: Queue = {
  ring: () => Promise.resolve(),
  start: () => undefined,
  stop: () => Promise.resolve(),
  depth: () => Promise.resolve({ waiting: 0, active: 0, oldestSeconds: 0 }),
};

/** What another process would start runs with; its queue works nothing, and nobody watches it. */
export function servicesBeside(database: Database): RefreshServices {
  const nobody = () => Promise.reject(new Error('Nobody watches here.'));
  return {
    database,
    clock: systemClock,
    logger: createLogger('silent'),
    queue: idleQueue,
    hub: { changed: () => undefined, subscribe: nobody as never, close: () => undefined },
    metrics: createEngineMetrics(new Registry(), systemClock),
    pinnedGenerations: () => Promise.resolve([]),
    closing: new AbortController().signal,
  };
}
