import type { EntityManager } from 'typeorm';
import { ExportRunTrigger } from '../entities/export-run.js';
import { ExportSchedule } from '../entities/export-schedule.js';
import { Export } from '../entities/export.js';
import { RefreshSchedule, THE_REFRESH_SCHEDULE } from '../entities/refresh-schedule.js';
import { RefreshTrigger } from '../entities/refresh.js';
import { nextDue } from '../exports/due-times.js';
import { queueOrSkipRun } from '../exports/queue-run.js';
import { timetableOf } from '../exports/schedules.js';
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

  const look = async () => {
    await attempt('looking for a due refresh', () => startDueRefresh(services));
    let due: readonly string[] = [];
    await attempt('looking for due exports', async () => {
      due = await dueExports(services);
    });
    // One that cannot be started keeps no other from it.
    for (const exportId of due)
      await attempt('starting a due export', () => startDueExport(services, exportId));
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
    if (!(await moveOn(manager, RefreshSchedule, schedule.dueAt, next, { id: schedule.id }))) return;
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

async function startDueExport(services: SchedulerServices, exportId: string): Promise<void> {
  const { database, clock, logger } = services;
  await database.transact(async (transaction) => {
    const { manager } = transaction;
    if ((await runningRefresh(manager)) !== null) return;
    const schedule = await manager.findOneBy(ExportSchedule, { exportId });
    const definition = await manager.findOneBy(Export, { id: exportId });
    if (schedule?.dueAt == null || schedule.dueAt.getTime() > clock.now() || definition === null) return;
    const timetable = timetableOf(schedule);
    const next = timetable === undefined ? null : nextDue([timetable], clock.now());
    if (!(await moveOn(manager, ExportSchedule, schedule.dueAt, next, { exportId }))) return;
    const wish = { trigger: ExportRunTrigger.SCHEDULE, asked: null, force: false };
    const run = await queueOrSkipRun(services, transaction, definition, wish);
    const figures = {
      exportId,
      dueAt: schedule.dueAt.toISOString(),
      runId: run?.id ?? null,
      state: run?.state,
    };
    logger.info(figures, run === null ? 'an export was due, but is detached' : 'an export was due');
  });
}

/** Writes the next due time, if nobody else has meanwhile. */
async function moveOn(
  manager: EntityManager,
  table: typeof ExportSchedule | typeof RefreshSchedule,
  from: Date | null,
  to: Date | null,
  key: object,
): Promise<boolean> {
  const { affected } = await manager
    .createQueryBuilder()
    .update(table)
    .set({ dueAt: to })
    .where(key)
    .andWhere('"dueAt" = :from', { from: from?.toISOString() })
    .execute();
  return affected === 1;
}
