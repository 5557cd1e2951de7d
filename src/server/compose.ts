import type { Clock } from '../clock.js';
import type { Config } from '../config.js';
import { openDatabase } from '../database.js';
import { createDestinations } from '../destinations/registry.js';
import { pinnedGenerations } from '../exports/generations.js';
import { createProgressHub } from '../exports/progress-hub.js';
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
}

const MINUTE_MS = 60_000;

/**
 * Builds everything, once. Nothing moves yet except the database, which is open.
 * @throws if the secret key or the database file cannot be used.
 */
export async function compose(config: Config, { clock, logger, stopping }: Surroundings): Promise<Services> {
  const secretBox = createSecretBox(loadSecretKeys(config));
  const hostPolicy = { suffixes: config.destinationSuffixes, sandboxHosts: config.sandboxHosts };
  const { sandboxTimeScale } = config;
  const destinations = createDestinations({ ...hostPolicy, sandboxTimeScale, clock, logger, stopping });
  const database = await openDatabase(config.databaseFile, dataModel);
  return {
    database,
    clock,
    logger,
    secretBox,
    hostPolicy,
    destinations,
    hub: createProgressHub({ reader: database.reader, clock, logger }),
    queue: createInProcessQueue({ clock, logger }),
    runDeadlineMs: config.runDeadlineMinutes * MINUTE_MS,
    pinnedGenerations,
  };
}
