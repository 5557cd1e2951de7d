import type { EntityManager } from 'typeorm';
import { changesBetween } from '../audit/changes.js';
import { record, recordAll, type Actor, type SignedInActor } from '../audit/record.js';
import type { ExportRun } from '../entities/export-run.js';
import { ExportSchedule } from '../entities/export-schedule.js';
import { Export, ExportSegment } from '../entities/export.js';

/** An export as the audit trail compares it. */
export type AuditedExport = Export & {
  readonly segmentIds: readonly string[];
  readonly schedule: Pick<ExportSchedule, 'enabled' | 'recurrence' | 'cron' | 'timeZone'>;
};

const FIELDS = [
  ...(['name', 'connectionId', 'list', 'account', 'segmentIds'] as const),
  ...(['mapping', 'leavers', 'leaverHoldPercent', 'runAutomations', 'schedule'] as const),
];

/** A copy of the export as it is now, with its segments and its schedule, to be compared later. */
export async function auditedExport(manager: EntityManager, definition: Export): Promise<AuditedExport> {
  const uses = await manager.findBy(ExportSegment, { exportId: definition.id });
  const { enabled, recurrence, cron, timeZone } = await manager.findOneByOrFail(ExportSchedule, {
    exportId: definition.id,
  });
  return Object.assign(new Export(), definition, {
    segmentIds: uses.map((use) => use.segmentId).sort(),
    schedule: { enabled, recurrence, cron, timeZone },
  });
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
  event: RunEvent,
  before: ExportRun['state'] | null,
  run: ExportRun,
  detail: Record<string, unknown> = {},
): Promise<void> {
  await auditRuns(manager, event, [{ before, run }], detail);
}

/** The same for several runs, with one statement. */
export async function auditRuns(
  manager: EntityManager,
  event: RunEvent,
  moved: readonly { readonly before: ExportRun['state'] | null; readonly run: ExportRun }[],
  detail: Record<string, unknown> = {},
): Promise<void> {
  await recordAll(
    manager,
    moved.map(({ before, run }) => ({
      ...event,
      subjectType: 'ExportRun',
      subjectId: run.id,
      changes: changesBetween({ state: before }, { state: run.state }, ['state']),
      detail: { exportId: run.exportId, ...detail },
    })),
  );
}

interface RunEvent {
  readonly at: Date;
  readonly actor: Actor;
  readonly action: string;
}
