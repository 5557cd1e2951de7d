import { ExportRunTrigger, type ExportRun } from '../entities/export-run.js';
import { ExportSchedule } from '../entities/export-schedule.js';
import { Export } from '../entities/export.js';
import type { User } from '../entities/user.js';
import { queueOrSkipRun } from './queue-run.js';
import type { RunServices } from './runs.js';

/**
 * Asks for a run of every export whose schedule is on, whatever its recurrence. One that could not run gets a SKIPPED run
 * with the reason, and does not keep the others from running; detached ones are passed over.
 * @returns the runs that were queued, joined or skipped, by the age of their exports.
 */
export async function runAllExports(services: RunServices, actor: User): Promise<ExportRun[]> {
  const { database } = services;
  const on = await database.reader.find(ExportSchedule, {
    where: { enabled: true },
    order: { exportId: 'ASC' },
  });
  const wish = { trigger: ExportRunTrigger.RUN_ALL, requestedById: actor.id, force: false };
  const runs: ExportRun[] = [];
  for (const { exportId } of on) {
    const run = await database.transact(async (transaction) => {
      const { manager } = transaction;
      const definition = await manager.findOneBy(Export, { id: exportId });
      const isOn = await manager.existsBy(ExportSchedule, { exportId, enabled: true });
      return definition !== null && isOn ? queueOrSkipRun(services, transaction, definition, wish) : null;
    });
    if (run !== null) runs.push(run);
  }
  return runs;
}
