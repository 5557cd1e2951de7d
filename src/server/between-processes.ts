import type { Clock } from '../clock.js';
import type { DatabaseAddress } from '../database.js';
import type { Queue } from '../exports/queue.js';
import { startBoss } from '../jobs/boss.js';
import { createBossQueue } from '../jobs/boss-queue.js';
import { createInProcessQueue } from '../jobs/in-process-queue.js';
import type { Logger } from '../logger.js';
import { openPostgresWire } from '../postgres-wire.js';
import { NO_WIRE, type Wire } from '../wire.js';

/** What the processes of one installation share beside the tables. */
export interface BetweenProcesses {
  readonly wire: Wire;
  /** Of accounts with work. */
  readonly accounts: Queue;
  readonly refreshes: Queue;
  readonly close: () => Promise<void>;
}

/**
 * Opens what the database allows: Postgres is shared by as many processes as wanted, a SQLite file by nobody.
 * @throws if Postgres cannot be reached.
 */
export async function openBetweenProcesses(
  address: DatabaseAddress,
  services: { readonly clock: Clock; readonly logger: Logger },
): Promise<BetweenProcesses> {
  if (address.kind === 'sqlite') {
    return {
      wire: NO_WIRE,
      accounts: createInProcessQueue(services),
      refreshes: createInProcessQueue(services),
      close: () => Promise.resolve(),
    };
  }
  const { logger } = services;
  const wire = await openPostgresWire(address.url, { logger });
  const boss = await startBoss(address.url, logger).catch(async (error: unknown) => {
    await wire.close();
    throw error;
  });
  const queueOf = (name: string) => createBossQueue(name, { ...services, boss, wire });
  return {
    wire,
    accounts: await queueOf('accounts'),
    refreshes: await queueOf('refreshes'),
    close: async () => {
      await boss.stop({ graceful: false });
      await wire.close();
    },
  };
}
