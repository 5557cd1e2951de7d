import { In, type EntityManager } from 'typeorm';
import { dialectOf, execute } from '../bulk-sql.js';
import { ExportRunTrigger } from '../entities/export-run.js';
import { ExportSchedule } from '../entities/export-schedule.js';
import { Export } from '../entities/export.js';
import { RefreshSchedule, THE_REFRESH_SCHEDULE } from '../entities/refresh-schedule.js';
import { RefreshTrigger } from '../entities/refresh.js';
import { nextDue } from '../exports/due-times.js';
import { QUEUED_AT_ONCE, queueOrSkipRuns, type Wanted } from '../exports/queue-run.js';
import { timetableOf } from '../exports/schedules.js';
import { inGroups } from '../in-groups.js';
import { timetablesOf } from './refresh-schedule.js';
import type { Refresher } from './refresher.js';
import { runningRefresh } from './refreshes.js';
import type { Ticker } from './ticker.js';
import type { RefreshServices } from './work-refresh.js';

/**
 * Starts what is due.
 *
 * Due times are written down. A start moves the due time on, past now, in the transaction that begins the refresh or
 * queues the run, and only if it still is what was read: so each due time starts one run, however many processes look,
 * and what fell due several times while nobody looked starts one.
 *
 * While a refresh is under way nothing else starts: what falls due meanwhile stays due, and starts when it has ended.
 */
export interface Scheduler {
  /** Looks at once, for what fell due while no server ran, and at every tick from then on. */
  readonly start: () => Promise<void>;
  /** Resolves when nothing of it is under way any more. */
  readonly stop: () => Promise<void>;
}

export interface SchedulerServices extends RefreshServices {
  readonly refresher: Refresher;
  readonly ticker: Ticker;
  /** What else is to be done now and then; each decides by itself whether it is time. */
  readonly chores: readonly (() => Promise<void>)[];
}

export function createScheduler(services: SchedulerServices): Scheduler {
  const { ticker, logger, chores } = services;
  let looking = Promise.resolve();

  const attempt = async (what: string, work: () => Promise<void>) => {
    try {
      await work();
    } catch (error: unknown) {
      logger.error({ err: error }, `${what} failed; it is tried again at the next tick`);
    }
  };

  /** One that cannot be started keeps no other from it: if a group fails, each of it is tried alone. */
  const startGroup = async (group: readonly string[]) => {
    const isStarted = await startDueExports(services, group).then(
      () => true,
      () => false,
    );
    if (isStarted) return;
    for (const exportId of group)
      await attempt('starting a due export', () => startDueExports(services, [exportId]));
  };

  const look = async () => {
    await attempt('looking for a due refresh', () => startDueRefresh(services));
    let due: readonly string[] = [];
    await attempt('looking for due exports', async () => {
      due = await dueExports(services);
    });
    for (const group of inGroups(due, QUEUED_AT_ONCE)) await startGroup(group);
    for (const chore of chores) await attempt('a chore', chore);
  };
  const lookAgain = () => (looking = looking.then(look));

  return {
    start: async () => {
      await lookAgain();
      ticker.start(lookAgain);
    },
    stop: async () => {
      await ticker.stop();
      await looking;
    },
  };
}

async function startDueRefresh(services: SchedulerServices): Promise<void> {
  const { database, clock, refresher } = services;
  const isDue = ({ dueAt }: RefreshSchedule) => dueAt !== null && dueAt.getTime() <= clock.now();
  const read = (manager: EntityManager) => manager.findOneBy(RefreshSchedule, { id: THE_REFRESH_SCHEDULE });
  const seen = await read(database.reader);
  if (seen === null || !isDue(seen)) return;
  await database.transact(async (transaction) => {
    const { manager } = transaction;
    const schedule = await read(manager);
    if (schedule === null || !isDue(schedule) || (await runningRefresh(manager)) !== null) return;
    const next = nextDue(timetablesOf(schedule), clock.now());
    if (!(await moveOn(manager, schedule, next))) return;
    const wish = { trigger: RefreshTrigger.SCHEDULE, requestedById: null, requestedFrom: null };
    await refresher.begin(transaction, wish);
  });
}

/** The longest due first. */
async function dueExports({ database, clock }: SchedulerServices): Promise<string[]> {
  const due = await database.reader
    .createQueryBuilder(ExportSchedule, 'schedule')
    .where('schedule.dueAt <= :now', { now: new Date(clock.now()).toISOString() })
    .orderBy('schedule.dueAt')
    .addOrderBy('schedule.exportId')
    .getMany();
  return due.map(({ exportId }) => exportId);
}

async function startDueExports(services: SchedulerServices, exportIds: readonly string[]): Promise<void> {
  const { database, clock, logger } = services;
  await database.transact(async (transaction) => {
    const { manager } = transaction;
    if ((await runningRefresh(manager)) !== null) return;
    const due = await stillDue(manager, exportIds, clock.now());
    if (due.length === 0) return;
    await moveAllOn(
      manager,
      due.map(({ schedule }) => schedule),
      clock.now(),
    );
    const wish = { trigger: ExportRunTrigger.SCHEDULE, asked: null, force: false };
    const runs = await queueOrSkipRuns(services, transaction, due, wish);
    transaction.afterCommit(() => {
      due.forEach(({ schedule: { exportId, dueAt } }, index) => {
        const run = runs[index] ?? null;
        const figures = { exportId, dueAt: dueAt?.toISOString(), runId: run?.id ?? null, state: run?.state };
        logger.info(figures, run === null ? 'an export was due, but is detached' : 'an export was due');
      });
    });
  });
}

/** Those of the exports that are there and due, in the order in which they fell due. */
async function stillDue(
  manager: EntityManager,
  exportIds: readonly string[],
  now: number,
): Promise<(Wanted & { readonly schedule: ExportSchedule })[]> {
  const schedules = await manager.findBy(ExportSchedule, { exportId: In([...exportIds]) });
  const definitions = await manager.findBy(Export, { id: In([...exportIds]) });
  const scheduleOf = new Map(schedules.map((schedule) => [schedule.exportId, schedule]));
  const definitionOf = new Map(definitions.map((definition) => [definition.id, definition]));
  return exportIds.flatMap((exportId) => {
    const [schedule, definition] = [scheduleOf.get(exportId), definitionOf.get(exportId)];
    if (schedule?.dueAt == null || schedule.dueAt.getTime() > now || definition === undefined) return [];
    return { schedule, definition };
  });
}

/** Writes the next due time of each, unless somebody else has moved one on meanwhile: then nothing is written. */
async function moveAllOn(
  manager: EntityManager,
  schedules: readonly ExportSchedule[],
  now: number,
): Promise<void> {
  const rows = schedules.map((schedule) => {
    const timetable = timetableOf(schedule);
    const next = timetable === undefined ? null : nextDue([timetable], now);
    return [schedule.exportId, schedule.dueAt?.toISOString(), next?.toISOString() ?? null];
  });
  const moved = await execute(
    manager,
    `UPDATE "export_schedules" SET "dueAt" = "next"."to"
     FROM ${dialectOf(manager).table('$1', { id: 'text', from: 'text', to: 'text' })} AS "next"
     WHERE "export_schedules"."exportId" = "next"."id" AND "export_schedules"."dueAt" = "next"."from"`,
    [JSON.stringify(rows)],
  );
  if (moved !== rows.length) throw new Error('Somebody else moved a due time on');
}

/** Writes the next due time of the refresh, if nobody else has meanwhile. */
async function moveOn(
  manager: EntityManager,
  { id, dueAt }: RefreshSchedule,
  to: Date | null,
): Promise<boolean> {
  const { affected } = await manager
    .createQueryBuilder()
    .update(RefreshSchedule)
    .set({ dueAt: to })
    .where({ id })
    .andWhere('"dueAt" = :from', { from: dueAt?.toISOString() })
    .execute();
  return affected === 1;
}
