import type { EntityManager } from 'typeorm';
import { changesBetween } from '../audit/changes.js';
import { record, type SignedInActor } from '../audit/record.js';
import type { ExportRun } from '../entities/export-run.js';
import { Export, ExportSegment } from '../entities/export.js';

/** An export as the audit trail compares it. */
export type AuditedExport = Export & { readonly segmentIds: readonly string[] };

const FIELDS = [
  ...(['name', 'connectionId', 'list', 'account', 'segmentIds'] as const),
  ...(['mapping', 'leavers', 'leaverHoldPercent', 'runAutomations'] as const),
];

/** A copy of the export as it is now, with its segments, to be compared later. */
export async function auditedExport(manager: EntityManager, definition: Export): Promise<AuditedExport> {
  const uses = await manager.findBy(ExportSegment, { exportId: definition.id });
  return Object.assign(new Export(), definition, { segmentIds: uses.map((use) => use.segmentId).sort() });
}

/** Writes down what was done to an export. @param before null: it was made. @param after null: it was removed. */
export async function auditExport(
  manager: EntityManager,
  event: { readonly at: Date; readonly actor: SignedInActor; readonly action: string },
  before: AuditedExport | null,
  after: AuditedExport | null,
): Promise<void> {
  const subjectId = (after ?? before)?.id ?? '';
  const changes = changesBetween(before, after, FIELDS);
  await record(manager, { ...event, subjectType: 'Export', subjectId, changes });
}

/** Writes down how somebody moved a run. @param before the state that it had; null: it was made. */
export async function auditRun(
  manager: EntityManager,
  event: { readonly at: Date; readonly actor: SignedInActor; readonly action: string },
  before: ExportRun['state'] | null,
  run: ExportRun,
  detail: Record<string, unknown> = {},
): Promise<void> {
  const changes = changesBetween({ state: before }, { state: run.state }, ['state']);
  const about = { exportId: run.exportId, ...detail };
  await record(manager, { ...event, subjectType: 'ExportRun', subjectId: run.id, changes, detail: about });
}
