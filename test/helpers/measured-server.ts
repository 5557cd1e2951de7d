import 'reflect-metadata';
import { systemClock } from '../../src/clock.js';
import { readConfig } from '../../src/config.js';
import { ExportRun, ExportRunState } from '../../src/entities/export-run.js';
import { createLogger } from '../../src/logger.js';
import { ensureAdministrator } from '../../src/people/administrator.js';
import { compose } from '../../src/server/compose.js';
import { openDoors } from '../../src/server/doors.js';
import { DOOR_LIMITS } from '../../src/server/limits.js';

/**
 * The server in a process of its own that tells of its memory and lets a test change runs at once and often: started by
 * measured-program.ts with `node --expose-gc`. No worker is started, so that runs wait as they are.
 */
export type Command =
  { readonly measure: true } | { readonly finish: readonly string[]; readonly changes: number };

export interface Measurement {
  readonly rssBytes: number;
  readonly heapBytes: number;
  /** What keeps the process alive, by kind. */
  readonly resources: Readonly<Record<string, number>>;
  /** Listeners on what lives as long as the process. */
  readonly listeners: number;
}

const config = readConfig();
const logger = createLogger(config.logLevel);
const services = await compose(config, {
  clock: systemClock,
  logger,
  stopping: new AbortController().signal,
});
await ensureAdministrator(services, config);
const doors = await openDoors(config, services, DOOR_LIMITS);
process.on('message', (command: Command) => void obey(command).then((answer) => process.send?.(answer)));
process.send?.({ url: doors.url });

async function obey(command: Command): Promise<Measurement> {
  if ('finish' in command) await finishRuns(command.finish, command.changes);
  return measure();
}

/** Ends the runs, and tells of it `changes` times in one tick. */
async function finishRuns(runIds: readonly string[], changes: number): Promise<void> {
  await services.database.transact(async ({ manager }) => {
    const end = { state: ExportRunState.SUCCEEDED, sequence: changes };
    for (const id of runIds) await manager.update(ExportRun, { id }, end);
  });
  for (let n = 0; n < changes; n++) services.hub.changed(runIds[n % runIds.length] ?? '');
}

function measure(): Measurement {
  globalThis.gc?.();
  const { rss, heapUsed } = process.memoryUsage();
  const resources: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
  const listeners = process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0);
  return { rssBytes: rss, heapBytes: heapUsed, resources, listeners };
}
