import { systemClock } from '../clock.js';
import { keepAuditEvents } from '../audit/retention.js';
import { describeConfig, type Config } from '../config.js';
import { lapseConsents, supersedeConsents } from '../connections/consent-grace.js';
import { removeTracesOfExports } from '../exports/export-removal.js';
import { pumpAccount } from '../exports/pump.js';
import { accountsWithWork } from '../exports/runs.js';
import { createTicker } from '../jobs/ticker.js';
import { createLogger } from '../logger.js';
import { ensureAdministrator, type FirstToken } from '../people/administrator.js';
import { removeAbandonedGenerations, removeSupersededGenerations } from '../profiles/generations.js';
import type { Services } from '../schema/services.js';
import { problemWithKeys } from '../security/known-keys.js';
import { compose, type Surroundings } from './compose.js';
import { openDoors } from './doors.js';
import { DOOR_LIMITS, type DoorLimits } from './limits.js';
import { claimDatabase } from './single-process.js';

export interface Server {
  /** Where it listens, like `http://127.0.0.1:4000`. */
  readonly url: string;
  /** The administrator's token, if this start made it. */
  readonly administrator: FirstToken;
  /**
   * Takes nothing new, closes subscriptions with 1001, lets runs reach a point from which the next start goes on, and
   * closes the database. Calling it again waits for the same end.
   */
  stop(): Promise<void>;
}

const KEYS_DIFFER =
  'stored API keys cannot be read with the secret key of this process: give all processes the same SLUICE_SECRET_KEY';

/** How long calls to destinations may still take at the end: an answer now saves sending a batch again. */
const CALLS_GRACE_MS = 3_000;

/**
 * Builds everything and opens the doors.
 * @throws if a file cannot be used or the port cannot be had; what was opened until then is closed again.
 */
export async function startServer(
  config: Config,
  overrides: Partial<Omit<Surroundings, 'stopping' | 'closing'> & { limits: DoorLimits }> = {},
): Promise<Server> {
  const { clock = systemClock, logger = createLogger(config.logLevel), consentStatements } = overrides;
  const { limits = DOOR_LIMITS, startDeadline, watchProcess } = overrides;
  const { ticker = createTicker() } = overrides;
  logger.info({ settings: describeConfig(config) }, 'starting');
  if (config.sandboxHosts.length > 0) {
    logger.warn(
      { hosts: config.sandboxHosts },
      'sandbox hosts may be called over plain http; not for real data',
    );
  }
  const { database } = config;
  // Of a Postgres there may be as many servers as wanted.
  const release = database.kind === 'sqlite' ? await claimDatabase(database.file) : () => Promise.resolve();
  const [stopping, closing] = [new AbortController(), new AbortController()];
  const surroundings = {
    clock,
    logger,
    ticker,
    consentStatements,
    startDeadline,
    watchProcess,
    stopping: stopping.signal,
    closing: closing.signal,
  };
  const services = await compose(config, surroundings).catch(async (error: unknown) => {
    await release();
    throw error;
  });
  // In this order nobody is told of an end that is none, and nothing is written to a closed database.
  const putDown = async () => {
    services.hub.close();
    const breakOff = setTimeout(() => {
      stopping.abort();
    }, CALLS_GRACE_MS);
    closing.abort();
    await services.scheduler.stop();
    await services.refresher.stop();
    await services.heldRuns.stop();
    await services.consentWatch.stop();
    await services.queue.stop();
    clearTimeout(breakOff);
    await services.between.close();
    await services.database.close();
    await release();
  };
  try {
    const administrator = await ensureAdministrator(services, config);
    await keepAuditEvents(services, config.auditRetentionDays);
    const why = await problemWithKeys(services.database, services.secretBox);
    if (why !== undefined) logger.warn({ why }, KEYS_DIFFER);
    // Before anything is sent: the statement may have changed, and a consent may have lapsed, since the last stop.
    await supersedeConsents(services);
    await lapseConsents(services);
    // Where there are other processes, they may be filling some just now: see the chores.
    if (database.kind === 'sqlite') await removeAbandonedGenerations(services);
    else await removeSupersededGenerations(services);
    await removeTracesOfExports(services);
    if (config.process !== 'api') await startWork(services);
    const doors = await openDoors(config, services, limits);
    // Whatever the log level: who started the server waits for this line.
    logger.child({}, { level: 'info' }).info({ url: doors.url }, 'listening');
    const shutDown = async () => {
      logger.info('stopping');
      closing.abort();
      await doors.close();
      await putDown();
      logger.info('stopped');
    };
    let stopped: Promise<void> | undefined;
    return { url: doors.url, administrator, stop: () => (stopped ??= shutDown()) };
  } catch (error: unknown) {
    await putDown();
    throw error;
  }
}

/** Before the doors are open: a run that was asked for earlier would wait for a worker that does not know of it. */
async function startWork(services: Services): Promise<void> {
  const unfinished = await accountsWithWork(services.database.reader);
  services.queue.start((account, bell, signal) => pumpAccount(services, account, bell, signal), unfinished);
  // After it: whom it cancels, a worker ends.
  services.heldRuns.start();
  services.consentWatch.start();
  await services.refresher.start();
  await services.scheduler.start();
}
