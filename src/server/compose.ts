import type { Clock } from '../clock.js';
import type { Config } from '../config.js';
import { openDatabase } from '../database.js';
import { createDestinations } from '../destinations/registry.js';
import { createBell } from '../exports/bell.js';
import { pinnedGenerations } from '../exports/generations.js';
import { createProgressHub } from '../exports/progress-hub.js';
import { createHeldRunsWatch } from '../jobs/held-runs.js';
import { createInProcessQueue } from '../jobs/in-process-queue.js';
import type { Logger } from '../logger.js';
import type { Services } from '../schema/services.js';
import { createSecretBox } from '../security/secret-box.js';
import { loadSecretKeys } from '../security/secret-keys.js';
import { dataModel } from './data-model.js';

/** What comes from outside, so that tests can bring their own time. */
export interface Surroundings {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Breaks off the calls to destinations that are under way. */
  readonly stopping: AbortSignal;
  /** How long a destination may be silent before a call counts as lost; as long as the way out thinks right. */
  readonly callTimeoutMs?: number | undefined;
}

const MINUTE_MS = 60_000;

/**
 * Builds everything, once. Nothing moves yet except the database, which is open.
 * @throws if the secret key or the database file cannot be used.
 */
export async function compose(config: Config, surroundings: Surroundings): Promise<Services> {
  const { clock, logger, stopping, callTimeoutMs } = surroundings;
  const secretBox = createSecretBox(loadSecretKeys(config));
  const hostPolicy = { suffixes: config.destinationSuffixes, sandboxHosts: config.sandboxHosts };
  const { sandboxTimeScale } = config;
  const destinations = createDestinations({
    ...hostPolicy,
    sandboxTimeScale,
    clock,
    logger,
    stopping,
    ...(callTimeoutMs !== undefined && { timeoutMs: callTimeoutMs }),
  });
  const database = await openDatabase(config.databaseFile, dataModel);
  const hub = createProgressHub({ reader: database.reader, clock, logger });
  const heldBell = createBell(clock);
  const queue = createInProcessQueue({ clock, logger });
  return {
    database,
    clock,
    logger,
    secretBox,
    hostPolicy,
    destinations,
    hub,
    queue,
    heldBell,
    heldRuns: createHeldRunsWatch({ database, clock, logger, queue, hub, heldBell }),
    // Beside the database: a disk that has room for people's data, and is for its owner alone.
    scratchDirectory: config.dataFolder,
    runDeadlineMs: config.runDeadlineMinutes * MINUTE_MS,
    pinnedGenerations,
  };
}
