import { PgBoss } from 'pg-boss';
import type { Logger } from '../logger.js';

/**
 * How often some process looks for jobs whose worker gives no sign of life. All try; the database lets one of them a
 * second. It is part of the time after which a dead worker's jobs are taken over (see boss-queue.ts).
 */
const SUPERVISE_SECONDS = 2;
const MONITOR_SECONDS = 1;
/** How often what is left of finished jobs is removed. */
const MAINTENANCE_SECONDS = 60 * 60;
const CONNECTIONS = 4;

/**
 * Opens pg-boss on our Postgres, in a schema of its own (`pgboss`), which it makes and migrates under a lock of its own:
 * any number of processes may start at once. It has connections of its own and the machine's time, whatever our clock
 * shows; what fails later it tells the log, and tries again.
 * @throws if the database cannot be reached.
 */
export async function startBoss(url: string, logger: Logger): Promise<PgBoss> {
  const boss = new PgBoss({
    connectionString: url,
    application_name: 'sluice queue',
    max: CONNECTIONS,
    schema: 'pgboss',
    // Schedules are ours (scheduler.ts), and so is what is told of processes.
    schedule: false,
    registerInstance: false,
    openTelemetry: { enabled: false },
    superviseIntervalSeconds: SUPERVISE_SECONDS,
    monitorIntervalSeconds: MONITOR_SECONDS,
    maintenanceIntervalSeconds: MAINTENANCE_SECONDS,
  });
  // Without a listener an error event would end the process.
  boss.on('error', (error) => {
    logger.error({ err: error }, 'the queue has trouble with the database; it tries again');
  });
  boss.on('warning', ({ message }) => {
    logger.warn({ warning: message }, 'the queue warns');
  });
  return boss.start();
}
