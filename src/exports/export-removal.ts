import { In, type EntityManager } from 'typeorm';
import type { SignedInActor } from '../audit/record.js';
import { execute } from '../bulk-sql.js';
import type { Clock } from '../clock.js';
import type { Database } from '../database.js';
import { Batch } from '../entities/batch.js';
import { ExportRun, RunRequest } from '../entities/export-run.js';
import { ExportSchedule } from '../entities/export-schedule.js';
import { Export, ExportSegment } from '../entities/export.js';
import { Ledger } from '../entities/ledger.js';
import { Trigger } from '../entities/trigger.js';
import { ConflictError } from '../errors.js';
import type { HashPerson } from '../security/person-hash.js';
import { auditedExport, auditExport } from './audit-exports.js';
import { findExport } from './find-exports.js';
import { UNFINISHED } from './run-states.js';
import { storeEarlierRemovals } from './store-earlier-removals.js';

/** Rows that one step removes: some 50 ms. */
const CHUNK = 10_000;

interface ExportRemovalServices {
  readonly database: Database;
  readonly clock: Clock;
  readonly hashPerson: HashPerson | undefined;
}

/**
 * Removes an export with its runs, its triggers and everything that was noted of them, except whom it took off its list
 * (removals.ts): another export may want these people. Contacts at the destination stay.
 * @throws {NotFoundError}; {ConflictError} while a run is queued or active.
 */
export async function removeExport(
  services: ExportRemovalServices,
  actor: SignedInActor,
  id: string,
): Promise<boolean> {
  await services.database.transact(async ({ manager }) => {
    const before = await auditedExport(manager, await findExport(manager, id));
    if (await manager.existsBy(ExportRun, { exportId: id, state: In(UNFINISHED) })) {
      throw new ConflictError(
        'A run of the export is queued or under way.',
        'Wait until it ends, or cancel it (cancelExportRun), and try again.',
      );
    }
    await manager.delete(Export, { id });
    await manager.delete(ExportSegment, { exportId: id });
    await manager.delete(ExportSchedule, { exportId: id });
    await manager.delete(Trigger, { exportId: id });
    await manager.delete(RunRequest, { exportId: id });
    const event = { at: new Date(services.clock.now()), actor, action: 'removeExport' };
    await auditExport(manager, event, before, null);
  });
  await removeTracesOfExports(services);
  return true;
}

/**
 * Removes the runs and ledgers whose export is gone, in small steps, so that a million rows block nobody; also at the
 * start, for what an earlier process did not get done.
 */
export async function removeTracesOfExports(services: Omit<ExportRemovalServices, 'clock'>): Promise<void> {
  const { database } = services;
  await storeEarlierRemovals(services);
  for (const run of await orphans(database.reader, ExportRun)) {
    await removeInSteps(database, 'rejections', 'id', '"runId" = $1', run.id);
    await database.transact(async ({ manager }) => {
      await manager.delete(Batch, { runId: run.id });
      await manager.delete(ExportRun, { id: run.id });
    });
  }
  for (const ledger of await orphans(database.reader, Ledger)) {
    await removeInSteps(database, 'former_addresses', 'profileId', '"ledgerId" = $1', ledger.id);
    await removeInSteps(database, 'ledger_entries', 'emailKey', '"ledgerId" = $1', ledger.id);
    await database.transact(async ({ manager }) => {
      await manager.delete(Ledger, { id: ledger.id });
    });
  }
}

async function orphans<T extends { id: string | number; exportId: string }>(
  reader: EntityManager,
  entity: new () => T,
): Promise<T[]> {
  return reader
    .createQueryBuilder(entity, 'trace')
    .where((query) => {
      const known = query.subQuery().select('1').from(Export, 'export').where('export.id = trace.exportId');
      return `NOT EXISTS ${known.getQuery()}`;
    })
    .getMany();
}

/** Deletes the rows of `table` for which `where` holds, a chunk at a time. `key` tells its rows apart there. */
async function removeInSteps(
  database: Database,
  table: string,
  key: string,
  where: string,
  value: string | number,
): Promise<void> {
  for (let removed = CHUNK; removed === CHUNK;) {
    removed = await database.transact(({ manager }) =>
      execute(
        manager,
        `DELETE FROM "${table}" WHERE ${where} AND "${key}" IN
         (SELECT "${key}" FROM "${table}" WHERE ${where} ORDER BY "${key}" LIMIT ${CHUNK})`,
        [value],
      ),
    );
  }
}
