import type { EntityManager } from 'typeorm';
import { NO_SUBJECT, record, type SignedInActor } from '../audit/record.js';
import { Connection, type ConnectionSharing } from '../entities/connection.js';
import { ExportRunTrigger, type ExportRun } from '../entities/export-run.js';
import { ExportSchedule } from '../entities/export-schedule.js';
import { Export } from '../entities/export.js';
import { inGroups } from '../in-groups.js';
import { QUEUED_AT_ONCE, queueOrSkipRuns, type Wanted } from './queue-run.js';
import type { RunServices } from './runs.js';

/**
 * Asks for a run of every export whose schedule is on, whatever its recurrence. One that could not run gets a SKIPPED run
 * with the reason, and does not keep the others from running; detached ones are passed over. They are queued in groups,
 * each in a transaction of its own: a caller who gives up, or a crash, leaves whole groups queued.
 * @param sharings how the connection of an export must be shared, or it is passed over: the caller may not run it.
 * @returns the runs that were queued, joined or skipped, by the age of their exports.
 */
export async function runAllExports(
  services: RunServices,
  actor: SignedInActor,
  sharings: readonly ConnectionSharing[],
): Promise<ExportRun[]> {
  const { database, clock } = services;
  const asked = { actor, action: 'runAllExports' };
  const on = await database.transact(async ({ manager }) => {
    const event = { ...asked, at: new Date(clock.now()), subjectType: 'ExportRun', subjectId: NO_SUBJECT };
    await record(manager, event);
    const schedules = await manager.find(ExportSchedule, {
      select: { exportId: true },
      where: { enabled: true },
      order: { exportId: 'ASC' },
    });
    return schedules.map(({ exportId }) => exportId);
  });
  const wish = { trigger: ExportRunTrigger.RUN_ALL, asked, force: false };
  const runs: ExportRun[] = [];
  for (const group of inGroups(on, QUEUED_AT_ONCE)) {
    const queued = await database.transact(async (transaction) => {
      const wanted = await runnable(transaction.manager, group, sharings);
      return queueOrSkipRuns(services, transaction, wanted, wish);
    });
    runs.push(...queued.flatMap((run) => run ?? []));
  }
  return runs;
}

/** Which of the exports are still there, switched on and attached, and are for the caller to run; in the same order. */
async function runnable(
  manager: EntityManager,
  exportIds: readonly string[],
  sharings: readonly ConnectionSharing[],
): Promise<Wanted[]> {
  const definitions = await manager
    .createQueryBuilder(Export, 'export')
    .innerJoin(ExportSchedule, 'schedule', 'schedule.exportId = export.id AND schedule.enabled = :on', {
      on: true,
    })
    .innerJoin(Connection, 'connection', 'connection.id = export.connectionId')
    .where('export.id IN (:...exportIds)', { exportIds })
    .andWhere('connection.sharing IN (:...sharings)', { sharings })
    .orderBy('export.id')
    .getMany();
  return definitions.map((definition) => ({ definition }));
}
