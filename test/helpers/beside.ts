import { join } from 'node:path';
import { Registry } from 'prom-client';
import { systemClock } from '../../src/clock.js';
import { openDatabase, type Database } from '../../src/database.js';
import { createEngineMetrics } from '../../src/exports/engine-metrics.js';
import type { RefreshServices } from '../../src/jobs/work-refresh.js';
import { createLogger } from '../../src/logger.js';
import { dataModel } from '../../src/server/data-model.js';
import type { Sluice } from './sluice.js';

/** The server's database, opened beside it as by another process. */
export async function openBeside(sluice: Sluice): Promise<Database & AsyncDisposable> {
  const database = await openDatabase(join(sluice.folder, 'sluice.db'), dataModel);
  return Object.assign(database, { [Symbol.asyncDispose]: () => database.close() });
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
    metrics: createEngineMetrics(new Registry(), systemClock),
    pinnedGenerations: () => Promise.resolve([]),
    closing: new AbortController().signal,
  };
}
