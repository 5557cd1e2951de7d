import { mkdirSync } from 'node:fs';
import { Registry } from 'prom-client';
import { systemClock, type Clock } from '../clock.js';
import type { Config, IssuerConfig } from '../config.js';
import { createWorkedAccounts } from '../connections/account-turns.js';
import { createAsking } from '../connections/asking.js';
import { createSharedSlots, SOLE_SLOTS } from '../connections/call-slots.js';
import { createCallerTurns } from '../connections/caller-turns.js';
import { lapseConsents } from '../connections/consent-grace.js';
import { CONSENT_STATEMENTS, type ConsentStatements } from '../connections/consent-statements.js';
import { openDatabase } from '../open-database.js';
import type { StartDeadline } from '../destinations/http.js';
import { createDestinations } from '../destinations/registry.js';
import { Role } from '../entities/user.js';
import { readBacklog } from '../exports/backlog.js';
import { createBell } from '../bell.js';
import { createEngineMetrics } from '../exports/engine-metrics.js';
import { pinnedGenerations } from '../exports/generations.js';
import { cancelForgottenRuns } from '../exports/hold.js';
import { createPreparingPlaces } from '../exports/preparing-places.js';
import { createProgressHub } from '../exports/progress-hub.js';
import { forgetOldRemovals } from '../exports/removals.js';
import { storeEarlierRemovals } from '../exports/store-earlier-removals.js';
import { createConsentWatch } from '../jobs/consent-watch.js';
import { createHeldRunsWatch } from '../jobs/held-runs.js';
import { hourly } from '../jobs/hourly.js';
import { createRefresher } from '../jobs/refresher.js';
import { createScheduler } from '../jobs/scheduler.js';
import type { Ticker } from '../jobs/ticker.js';
import type { Logger } from '../logger.js';
import { createIssuer, type IssuerRules } from '../people/issuer.js';
import { createSessions } from '../people/sessions.js';
import { createSignIn } from '../people/sign-in.js';
import { createSweep } from '../profiles/generations.js';
import type { Services } from '../schema/services.js';
import { loadPersonHash } from '../security/person-hash.js';
import { createSecretBox } from '../security/secret-box.js';
import { loadSecretKeys } from '../security/secret-keys.js';
import { createCallRate } from '../webhooks/call-rate.js';
import { createForgetting } from '../webhooks/forget-calls.js';
import { createRefusedCalls } from '../webhooks/refused-calls.js';
import { createDecoys } from '../webhooks/trigger-secrets.js';
import { openBetweenProcesses } from './between-processes.js';
import { addBacklogGauges } from './backlog-gauges.js';
import { dataModel } from './data-model.js';
import { createDestinationMetrics } from './destination-metrics.js';
import type { Health } from './health-routes.js';
import { databaseCheck, migrationsCheck, stoppingCheck, wireCheck } from './readiness.js';

/** What comes from outside, so that tests can bring their own time. */
export interface Surroundings {
  readonly clock: Clock;
  readonly logger: Logger;
  /** What has to be agreed to; the present statements, where nothing else is given. */
  readonly consentStatements?: ConsentStatements | undefined;
  /** Tells when to look what is due. */
  readonly ticker: Ticker;
  /** Breaks off the calls to destinations that are under way. */
  readonly stopping: AbortSignal;
  /** Breaks off what takes its time for a caller: it aborts before the doors close. */
  readonly closing: AbortSignal;
  /** Starts the time that a destination may take for an answer; by default a timer of the machine. */
  readonly startDeadline?: StartDeadline | undefined;
  /** Adds what the process as such tells of itself, like its memory: once a process, because it is never taken back. */
  readonly watchProcess?: ((registry: Registry) => void) | undefined;
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/**
 * Builds everything, once. Nothing moves yet except the database, which is open.
 * @throws if the secret key or the database file cannot be used.
 */
export async function compose(config: Config, surroundings: Surroundings): Promise<Services & Health> {
  const { clock, logger, ticker, stopping, closing, startDeadline } = surroundings;
  const secretBox = createSecretBox(loadSecretKeys(config));
  const hostPolicy = { suffixes: config.destinationSuffixes, sandboxHosts: config.sandboxHosts };
  const { sandboxTimeScale } = config;
  const registry = new Registry();
  surroundings.watchProcess?.(registry);
  const metrics = createEngineMetrics(registry, clock);
  const destinations = createDestinations({
    ...hostPolicy,
    sandboxTimeScale,
    clock,
    logger,
    stopping,
    startDeadline,
    onCall: createDestinationMetrics(registry),
  });
  mkdirSync(config.dataFolder, { recursive: true });
  const database = await openDatabase(config.database, dataModel);
  const giveUp = async (error: unknown) => {
    await database.close();
    throw error;
  };
  const hashPerson = await loadPersonHash({ database, secretBox, logger }).catch(giveUp);
  const between = await openBetweenProcesses(config.database, { clock, logger }).catch(giveUp);
  const { wire, accounts: queue, refreshes: refreshQueue } = between;
  const { reader } = database;
  addBacklogGauges(registry, { clock, logger }, () => readBacklog(reader));
  const workedAccounts = createWorkedAccounts(wire.isShared);
  const slots = wire.isShared ? createSharedSlots(database) : SOLE_SLOTS;
  const callerTurns = createCallerTurns({
    clock,
    patience: systemClock,
    worked: workedAccounts,
    slots,
    closing,
  });
  const hub = createProgressHub({ reader, clock, logger, wire });
  const heldBell = createBell(clock);
  const sessions = createSessions({ reader, clock, logger, wire });
  const issuer = config.issuer && createIssuer({ database, clock, sessions }, rulesOf(config.issuer));
  const consentRules = {
    statements: surroundings.consentStatements ?? CONSENT_STATEMENTS,
    graceMs: config.consentGraceDays * DAY_MS,
  };
  const refreshing = { database, clock, logger, queue, hub, metrics, closing, pinnedGenerations };
  const refresher = createRefresher({ ...refreshing, refreshQueue });
  // What a start would find, or a bell tell, if there were one process.
  const choresOfMany = [
    createSweep({ database, clock, pinnedGenerations }),
    () => cancelForgottenRuns({ database, clock, logger, queue, hub, metrics }),
    () => lapseConsents({ database, clock, logger, consentRules }),
  ].map((chore) => hourly(clock, chore));
  const keepRemovals = hourly(clock, async () => {
    // An older server may still be at work beside this one during an upgrade.
    await storeEarlierRemovals({ database, hashPerson });
    await forgetOldRemovals({ database, clock }, config.removalRetentionDays);
  });
  return {
    database,
    clock,
    logger,
    secretBox,
    hashPerson,
    hostPolicy,
    consentRules,
    destinations,
    asking: createAsking({ database, clock, secretBox, destinations, callerTurns }),
    workedAccounts,
    hub,
    queue,
    between,
    metrics,
    preparingPlaces: createPreparingPlaces(),
    heldBell,
    heldRuns: createHeldRunsWatch({ database, clock, logger, queue, hub, metrics, heldBell }),
    sessions,
    issuer,
    signIn: createSignIn({ database, clock, issuer }),
    consentWatch: createConsentWatch({ clock, logger }, () =>
      lapseConsents({ database, clock, logger, consentRules }),
    ),
    refresher,
    scheduler: createScheduler({
      ...refreshing,
      refresher,
      ticker,
      chores: [createForgetting({ database, clock }), keepRemovals, ...(wire.isShared ? choresOfMany : [])],
    }),
    decoys: createDecoys({ secretBox }),
    callRate: createCallRate(clock, config.triggerCallsPerMinute),
    writeDownRefusedCall: createRefusedCalls({ database, clock, logger }),
    // Beside the database: a disk that has room for people's data, and is for its owner alone.
    scratchDirectory: config.dataFolder,
    runDeadlineMs: config.runDeadlineMinutes * MINUTE_MS,
    pinnedGenerations,
    closing,
    registry,
    checks: [
      stoppingCheck(closing),
      databaseCheck(reader),
      migrationsCheck(reader, dataModel.migrations),
      ...(wire.isShared ? [wireCheck(wire)] : []),
    ],
  };
}

function rulesOf({ roles, ...rules }: IssuerConfig): IssuerRules {
  // config.ts has let nothing else through.
  return { ...rules, roles: new Map(roles.map(([value, role]) => [value, Role[role]])) };
}
