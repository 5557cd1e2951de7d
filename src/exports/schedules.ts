import { In, type EntityManager } from 'typeorm';
import type { SignedInActor } from '../audit/record.js';
import { ExportSchedule, Recurrence } from '../entities/export-schedule.js';
import { Export } from '../entities/export.js';
import { BadInputError, NotFoundError } from '../errors.js';
import type { Clock } from '../clock.js';
import type { Database } from '../database.js';
import { auditedExport, auditExport } from './audit-exports.js';
import { nextDue, parseTimetable, type Timetable } from './due-times.js';

interface ScheduleServices {
  readonly database: Database;
  readonly clock: Clock;
}

export interface ScheduleWish {
  readonly enabled: boolean;
  readonly recurrence: Recurrence;
  readonly cron?: string | null;
  readonly timeZone?: string | null;
}

/** What a person decides of a schedule. */
export type ParsedSchedule = Pick<ExportSchedule, 'enabled' | 'recurrence' | 'cron' | 'timeZone'>;

const DEFAULT: ScheduleWish = { enabled: true, recurrence: Recurrence.EVERY_REFRESH };
const DEFAULT_TIME_ZONE = 'UTC';

/** @param input left out: on, with every refresh. @throws {BadInputError} */
export function parseSchedule(input: ScheduleWish | null | undefined, path = 'schedule'): ParsedSchedule {
  const { enabled, recurrence, cron, timeZone } = input ?? DEFAULT;
  if (recurrence === Recurrence.EVERY_REFRESH) {
    for (const [name, value] of Object.entries({ cron, timeZone })) {
      if (value === undefined || value === null) continue;
      throw new BadInputError(
        `${path}.${name}`,
        `A schedule that follows every refresh has no ${name}.`,
        'Leave it out, or choose the recurrence CRON.',
      );
    }
    return { enabled, recurrence, cron: null, timeZone: null };
  }
  return { enabled, recurrence, ...parseTimetable(cron ?? '', timeZone ?? DEFAULT_TIME_ZONE, path) };
}

/** When an export with a schedule of its own is due; undefined: it is off, or follows every refresh. */
export function timetableOf({ enabled, cron, timeZone }: ParsedSchedule): Timetable | undefined {
  return enabled && cron !== null && timeZone !== null ? { cron, timeZone } : undefined;
}

/**
 * Makes this the schedule of an export. One that stays as it is keeps what it is due for: saving an export again, while a
 * start of it waits for a refresh, must not lose that start.
 */
export async function writeSchedule(
  manager: EntityManager,
  clock: Clock,
  exportId: string,
  schedule: ParsedSchedule,
): Promise<void> {
  const before = await manager.findOneBy(ExportSchedule, { exportId });
  const { enabled, recurrence, cron, timeZone } = schedule;
  const isSame =
    before?.enabled === enabled &&
    before.recurrence === recurrence &&
    before.cron === cron &&
    before.timeZone === timeZone;
  if (isSame) return;
  const timetable = timetableOf(schedule);
  const dueAt = timetable === undefined ? null : nextDue([timetable], clock.now());
  await manager.save(ExportSchedule, { exportId, enabled, recurrence, cron, timeZone, dueAt });
}

/**
 * Gives several exports the same schedule, all or none.
 * @throws {NotFoundError} if one of them does not exist; {BadInputError}.
 */
export async function scheduleExports(
  services: ScheduleServices,
  actor: SignedInActor,
  ids: readonly string[],
  input: ScheduleWish,
): Promise<Export[]> {
  const schedule = parseSchedule(input);
  return changeSchedules(services, { actor, action: 'scheduleExports' }, ids, () => schedule);
}

/**
 * Switches the schedules of several exports on or off, all or none; each keeps its own times. What fell due while a
 * schedule was off is not made up.
 * @throws {NotFoundError} if one of them does not exist.
 */
export async function enableSchedules(
  services: ScheduleServices,
  actor: SignedInActor,
  ids: readonly string[],
  enabled: boolean,
): Promise<Export[]> {
  return changeSchedules(services, { actor, action: 'enableSchedules' }, ids, (own) => ({ ...own, enabled }));
}

async function changeSchedules(
  { database, clock }: ScheduleServices,
  { actor, action }: { readonly actor: SignedInActor; readonly action: string },
  ids: readonly string[],
  change: (own: ParsedSchedule) => ParsedSchedule,
): Promise<Export[]> {
  const wanted = [...new Set(ids)];
  const at = new Date(clock.now());
  const changes = { updatedAt: at, updatedById: actor.id };
  return database.transact(async ({ manager }) => {
    const found = await manager.findBy(Export, { id: In(wanted) });
    const byId = new Map(found.map((definition) => [definition.id, definition]));
    const inOrder = wanted.map((id) => {
      const definition = byId.get(id);
      if (definition === undefined) throw new NotFoundError('export');
      return Object.assign(definition, changes);
    });
    for (const definition of inOrder) {
      const before = await auditedExport(manager, definition);
      await writeSchedule(manager, clock, definition.id, change(before.schedule));
      await auditExport(manager, { at, actor, action }, before, await auditedExport(manager, definition));
    }
    await manager.update(Export, { id: In(wanted) }, changes);
    return inOrder;
  });
}
