import type { EntityManager } from 'typeorm';
import { NO_SUBJECT, record, type SignedInActor } from '../audit/record.js';
import { Connection, type ConnectionSharing } from '../entities/connection.js';
import { ExportRunTrigger, type ExportRun } from '../entities/export-run.js';
import { ExportSchedule } from '../entities/export-schedule.js';
import { Export } from '../entities/export.js';
import { queueOrSkipRun } from './queue-run.js';
import type { RunServices } from './runs.js';

/**
 * Asks for a run of every export whose schedule is on, whatever its recurrence. One that could not run gets a SKIPPED run
 * with the reason, and does not keep the others from running; detached ones are passed over.
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
    return manager.find(ExportSchedule, { where: { enabled: true }, order: { exportId: 'ASC' } });
  });
  const wish = { trigger: ExportRunTrigger.RUN_ALL, asked, force: false };
  const runs: ExportRun[] = [];
  for (const { exportId } of on) {
    const run = await database.transact(async (transaction) => {
      const definition = await runnable(transaction.manager, exportId, sharings);
      return definition && queueOrSkipRun(services, transaction, definition, wish);
    });
    if (run !== null) runs.push(run);
  }
  return runs;
}

/** Null: the export was removed, switched off or detached, or is not for the caller to run. */
async function runnable(
  manager: EntityManager,
  exportId: string,
  sharings: readonly ConnectionSharing[],
): Promise<Export | null> {
  const definition = await manager.findOneBy(Export, { id: exportId });
  if (definition?.connectionId == null) return null;
  const isOn = await manager.existsBy(ExportSchedule, { exportId, enabled: true });
  const connection = await manager.findOneBy(Connection, { id: definition.connectionId });
  return isOn && connection !== null && sharings.includes(connection.sharing) ? definition : null;
}
