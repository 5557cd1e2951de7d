import type { EntityManager } from 'typeorm';
import type { SignedInActor } from '../audit/record.js';
import { findConnection } from '../connections/find.js';
import type { Transaction } from '../database.js';
import { ExportRun, ExportRunState } from '../entities/export-run.js';
import { Export, ExportSegment } from '../entities/export.js';
import { ConflictError } from '../errors.js';
import { auditedExport, auditExport } from './audit-exports.js';
import {
  parseSegmentIds,
  usableConnection,
  type ExportInputServices,
  type UsableConnection,
} from './export-input.js';
import { findExport } from './find-exports.js';
import type { Queue } from './queue.js';

/** What the care for exports needs. */
export interface ExportServices extends ExportInputServices {
  readonly queue: Queue;
}

/** Writes what `work` answers, with who changed it and when, and lets a queued run begin with it. */
export async function changeExport(
  services: ExportServices,
  actor: SignedInActor,
  action: string,
  id: string,
  work: (transaction: Transaction, found: Export) => Promise<Partial<Export>>,
): Promise<Export> {
  return services.database.transact(async (transaction) => {
    const { manager } = transaction;
    const found = await findExport(manager, id);
    const before = await auditedExport(manager, found);
    const changes = await work(transaction, found);
    const at = new Date(services.clock.now());
    const changed = Object.assign(found, changes, { updatedAt: at, updatedById: actor.id });
    await manager.save(Export, changed);
    await auditExport(manager, { at, actor, action }, before, await auditedExport(manager, changed));
    await redirectQueuedRun(services, transaction, changed);
    return changed;
  });
}

/** A queued run goes where its export goes by the time it begins. */
async function redirectQueuedRun(
  services: ExportServices,
  transaction: Transaction,
  changed: Export,
): Promise<void> {
  if (changed.connectionId === null) return;
  const { kind, revision } = await findConnection(transaction.manager, changed.connectionId);
  const { affected } = await transaction.manager.update(
    ExportRun,
    { exportId: changed.id, state: ExportRunState.QUEUED },
    {
      connectionId: changed.connectionId,
      connectionRevision: revision,
      kind,
      account: changed.account,
      listId: changed.list.id,
      runAutomations: changed.runAutomations,
    },
  );
  if (affected !== 0) await services.queue.ring(transaction, changed.account);
}

/** Makes these the segments of the export. @throws {BadInputError} if one was removed meanwhile. */
export async function writeSegments(
  manager: EntityManager,
  exportId: string,
  segmentIds: readonly string[],
): Promise<void> {
  await parseSegmentIds(manager, segmentIds);
  await manager.delete(ExportSegment, { exportId });
  await manager.insert(
    ExportSegment,
    segmentIds.map((segmentId) => ({ exportId, segmentId })),
  );
}

/** While the list was looked up, the connection may have got another host or key. */
export async function assertSameAccount(
  manager: EntityManager,
  { connection, account }: UsableConnection,
): Promise<void> {
  const now = await usableConnection(manager, connection.id);
  if (now.account === account) return;
  throw new ConflictError(
    'The connection was changed a moment ago.',
    'Look at it, and try again.',
    'connectionId',
  );
}
