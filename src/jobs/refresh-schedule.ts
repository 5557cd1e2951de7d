import type { EntityManager } from 'typeorm';
import { changesBetween } from '../audit/changes.js';
import { NO_SUBJECT, record, type SignedInActor } from '../audit/record.js';
import type { Clock } from '../clock.js';
import type { Database } from '../database.js';
import { Recurrence, type ExportSchedule } from '../entities/export-schedule.js';
import {
  RefreshFrequency,
  RefreshSchedule,
  THE_REFRESH_SCHEDULE,
  Weekday,
} from '../entities/refresh-schedule.js';
import { BadInputError } from '../errors.js';
import { dueTimes, nextDue, nextDues, parseTimeZone, type Timetable } from '../exports/due-times.js';
import { timetableOf } from '../exports/schedules.js';

interface RefreshScheduleServices {
  readonly database: Database;
  readonly clock: Clock;
}

export interface RefreshScheduleWish {
  readonly enabled: boolean;
  readonly frequency: RefreshFrequency;
  readonly days?: readonly Weekday[] | null;
  readonly times: readonly string[];
  readonly timeZone: string;
}

const MAX_TIMES = 4;
const TIME = /^([01]\d|2[0-3]):([0-5]\d)$/;
const UPCOMING = 5;

/** The system schedule. It is off until somebody sets it. */
export async function getRefreshSchedule({
  database,
}: Pick<RefreshScheduleServices, 'database'>): Promise<RefreshSchedule> {
  return findRefreshSchedule(database.reader);
}

/** As a transaction sees it. */
export async function findRefreshSchedule(manager: EntityManager): Promise<RefreshSchedule> {
  const stored = await manager.findOneBy(RefreshSchedule, { id: THE_REFRESH_SCHEDULE });
  return stored ?? newRefreshSchedule();
}

function newRefreshSchedule(): RefreshSchedule {
  return Object.assign(new RefreshSchedule(), {
    id: THE_REFRESH_SCHEDULE,
    enabled: false,
    frequency: RefreshFrequency.DAILY,
    days: [],
    times: [],
    timeZone: 'UTC',
    dueAt: null,
  });
}

/**
 * Sets the system schedule. A refresh under way goes on. One that stays as it is keeps what it is due for.
 * @throws {BadInputError}
 */
export async function setRefreshSchedule(
  { database, clock }: RefreshScheduleServices,
  actor: SignedInActor,
  input: RefreshScheduleWish,
): Promise<RefreshSchedule> {
  const wanted = parse(input);
  return database.transact(async ({ manager }) => {
    const before = await findRefreshSchedule(manager);
    await record(manager, {
      at: new Date(clock.now()),
      actor,
      action: 'setRefreshSchedule',
      subjectType: 'RefreshSchedule',
      subjectId: NO_SUBJECT,
      changes: changesBetween(before, wanted, ['enabled', 'frequency', 'days', 'times', 'timeZone']),
    });
    const isSame = (Object.keys(wanted) as (keyof typeof wanted)[]).every(
      (key) => JSON.stringify(wanted[key]) === JSON.stringify(before[key]),
    );
    if (isSame) return before;
    const changed = Object.assign(before, wanted);
    changed.dueAt = nextDue(timetablesOf(changed), clock.now());
    await manager.save(RefreshSchedule, changed);
    return changed;
  });
}

/** When the system refreshes; none while the schedule is off. */
export function timetablesOf({ enabled, days, times, timeZone }: RefreshSchedule): Timetable[] {
  if (!enabled) return [];
  const weekdays = days.length === 0 ? '*' : days.map((day) => day.slice(0, 3)).join(',');
  return times.map((time) => {
    const [hour = 0, minute = 0] = time.split(':').map(Number);
    return { cron: `${minute} ${hour} * * ${weekdays}`, timeZone };
  });
}

/** The next five times at which an export runs by itself; what is due and waits for its start comes first. */
export async function upcomingRuns(
  services: RefreshScheduleServices,
  schedule: ExportSchedule,
): Promise<Date[]> {
  if (!schedule.enabled) return [];
  const own = timetableOf(schedule);
  if (schedule.recurrence === Recurrence.CRON) {
    if (own === undefined || schedule.dueAt === null) return [];
    return [schedule.dueAt, ...dueTimes(own, schedule.dueAt.getTime(), UPCOMING - 1)];
  }
  const system = await getRefreshSchedule(services);
  if (system.dueAt === null) return [];
  return [system.dueAt, ...nextDues(timetablesOf(system), system.dueAt.getTime(), UPCOMING - 1)];
}

function parse(
  input: RefreshScheduleWish,
): Pick<RefreshSchedule, 'enabled' | 'frequency' | 'days' | 'times' | 'timeZone'> {
  const { enabled, frequency } = input;
  const times = [...new Set(input.times)].sort();
  const wrong = times.find((time) => !TIME.test(time));
  if (wrong !== undefined) {
    throw new BadInputError(
      'times',
      `${JSON.stringify(wrong.slice(0, 20))} is no time of day.`,
      'Write it like 07:30, from 00:00 to 23:59.',
    );
  }
  if (times.length > MAX_TIMES || (enabled && times.length === 0)) {
    throw new BadInputError(
      'times',
      `There are ${times.length} times.`,
      `Give 1 to ${MAX_TIMES} times of day.`,
    );
  }
  const given = new Set(input.days ?? []);
  const days = Object.values(Weekday).filter((day) => given.has(day));
  if (frequency === RefreshFrequency.DAILY && days.length > 0) {
    throw new BadInputError('days', 'A daily schedule has no days.', 'Leave days out, or choose WEEKLY.');
  }
  if (frequency === RefreshFrequency.WEEKLY && days.length === 0) {
    throw new BadInputError(
      'days',
      'A weekly schedule needs at least one day.',
      'Name its days, or choose DAILY.',
    );
  }
  return { enabled, frequency, days, times, timeZone: parseTimeZone(input.timeZone, 'timeZone') };
}
