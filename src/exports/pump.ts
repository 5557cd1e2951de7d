import { In, Not } from 'typeorm';
import { dialectOf } from '../bulk-sql.js';
import { isDatabaseAway } from '../database-errors.js';
import { instantOf } from '../clock.js';
import type { DestinationLimits, Quota } from '../destinations/destination.js';
import { Batch } from '../entities/batch.js';
import { Connection } from '../entities/connection.js';
import { ExportRun, ExportRunState } from '../entities/export-run.js';
import { createAddressHolds } from './address-holds.js';
import type { Bell } from '../bell.js';
import { callersTurns } from './callers-turns.js';
import { openBreaker } from './account-breaker.js';
import { createDecide } from './decisions.js';
import { beginTenure, RunTakenError } from './fence.js';
import { meteredTurns } from './metered-turns.js';
import { createPace, type PastRequest } from './pace.js';
import { createPunctualQuestions } from './punctual-questions.js';
import type { Queue } from './queue.js';
import {
  BROKEN,
  cancelSending,
  shutDown,
  ShutdownError,
  type EngineServices,
  type RunContext,
} from './run-context.js';
import { RunMovedError, UNDER_WAY } from './run-states.js';
import { createTurnstile } from '../turnstile.js';
import { createTurns } from './turns.js';
import { createWorkingRuns } from './working-runs.js';
import { endRun, isPrepared, takeUp, workRun } from './work-run.js';

interface PumpServices extends EngineServices {
  readonly queue: Queue;
}

/** What all runs of an account share. */
type Budget = Pick<RunContext, 'pace' | 'turns' | 'breaker'> & { readonly close: () => void };

/**
 * Works every run of one account until none is left, in one process at a time: the account's quotas are one budget, and
 * only somebody who sees all its runs can keep them and let the small ones go first. A held run, and what is queued
 * behind it, waits for a person, not for the pump: it ends, and is rung for again when somebody has decided.
 * @param bell rung when a run of the account was queued or approved, or is to be cancelled.
 * @param signal aborts when the process stops; the runs then stay as they are and go on after the next start.
 * @throws whatever keeps it from working (a database that cannot be written, another pump of the account); nothing is lost, ring the account again.
 */
export async function pumpAccount(
  services: PumpServices,
  account: string,
  bell: Bell,
  signal: AbortSignal,
): Promise<void> {
  const tenant = { ...services, tenure: await beginTenure(services.database, account) };
  const working = createWorkingRuns(services.clock);
  const holds = createAddressHolds();
  const failures: unknown[] = [];
  let budget: Budget | undefined;
  /** Not every run that is to be worked is in hand yet. */
  let isTaking = true;
  const comparing = createTurnstile();

  const budgetAt = async (limits: DestinationLimits): Promise<Budget> => {
    const pace = createPace(limits, [
      ...(await pastRequests(services, account, limits.batchQuota)),
      ...unknownCalls(limits, services.clock.monotonic()),
    ]);
    const breaker = await openBreaker(services, account, limits, working.ringAll);
    const metrics = services.metrics.openAccount(account, {
      paceShare: () => pace.share(services.clock.monotonic()),
      isBreakerOpen: breaker.isOpen,
    });
    const turns = meteredTurns(createTurns(pace, services.clock), metrics, services.clock);
    const ofCallers = callersTurns({ pace, turns }, services.clock);
    services.workedAccounts.open(account, ofCallers);
    return {
      pace,
      turns,
      breaker,
      close: () => {
        services.workedAccounts.close(account, ofCallers);
        metrics.close();
      },
    };
  };

  /** @param leavePlace frees the place to prepare that the run has; called more than once. */
  const take = async (run: ExportRun, leavePlace: () => void) => {
    const connection = await services.database.reader.findOneBy(Connection, { id: run.connectionId });
    const host = connection?.host ?? '';
    const destination = services.destinations[run.kind];
    const limits = withoutOthers(destination.limits(host), services.workedAccounts.callsElsewhere);
    const { pace, turns, breaker } = (budget ??= await budgetAt(limits));
    const ours = { ...tenant, logger: services.logger.child({ runId: run.id }) };
    await takeUp(ours, run);
    const urgency = () => run.toSend - run.confirmed - run.rejected - run.unconfirmed;
    const context: RunContext = {
      services: ours,
      run,
      destination,
      limits,
      pace,
      turns,
      breaker,
      comparing,
      urgency,
      punctual: createPunctualQuestions(services.clock, limits, urgency),
      decide: createDecide(tenant, run, holds),
      clockThere: () => destination.timeAt(host),
      // Whoever was interrupted may have batches under way before it is taken up again.
      hasCompany: () => isTaking || working.sharesList(run),
      bell: working.bellOf(run.listId),
      holds,
      prepared: leavePlace,
      sending: new AbortController(),
      asking: new AbortController(),
      problem: null,
      trouble: null,
    };
    const done = work(context)
      .then(() => ringElsewhere(services, run))
      .catch((error: unknown) => failures.push(error))
      .then(() => {
        leavePlace();
        holds.ended(run.id);
        working.remove(run);
        bell.ring();
        // The end of a run frees addresses that another run to the list may wait for.
        context.bell.ring();
      });
    working.add(context, done);
  };

  /**
   * Takes up what is not in hand: at once what is prepared or to end, the others as there are places to prepare.
   * @returns whether there were too few places.
   */
  const takeAll = async (): Promise<boolean> => {
    for (const { id, isCanceling } of await runsInHand(services, account)) {
      const taken = working.get(id);
      if (taken !== undefined && isCanceling) cancelSending(taken);
      if (taken !== undefined) continue;
      const run = await services.database.reader.findOneBy(ExportRun, { id });
      const isReady = run !== null && (isPrepared(run) || run.state === ExportRunState.CANCELING);
      if (isReady && working.mayStart(run)) await take(run, noPlace).catch(ignoreMoved);
    }
    while (!signal.aborted && failures.length === 0) {
      const leavePlace = services.preparingPlaces.take(account, bell.ring);
      if (leavePlace === undefined) return true;
      let next: ExportRun | undefined;
      try {
        next = (await runsToPrepare(services, account, working.preparing())).find(working.mayStart);
        if (next !== undefined) await take(next, leavePlace);
      } catch (error: unknown) {
        leavePlace();
        ignoreMoved(error);
      }
      if (next !== undefined) continue;
      leavePlace();
      break;
    }
    return false;
  };

  try {
    while (!signal.aborted && failures.length === 0) {
      const seen = bell.count();
      isTaking = true;
      const isShortOfPlaces = await takeAll();
      isTaking = false;
      if (working.size() === 0 && !isShortOfPlaces) break;
      await bell.after(seen);
    }
  } finally {
    const taken = working.all();
    for (const { context } of taken) shutDown(context);
    await Promise.all(taken.map(({ done }) => done));
    budget?.close();
  }
  if (failures.length > 0) throw failures[0];
}

/** A run that is prepared, or is to end, needs no place. */
function noPlace(): void {
  // There is nothing to free.
}

/** The limits that are left when callers of other processes may make so many of the calls. */
function withoutOthers(limits: DestinationLimits, callsElsewhere: number): DestinationLimits {
  const { calls, windowMs } = limits.callQuota;
  return { ...limits, callQuota: { calls: Math.max(1, calls - callsElsewhere), windowMs } };
}

/** Somebody cancelled the run, or took it up, in the moment before we did. */
function ignoreMoved(error: unknown): void {
  if (!(error instanceof RunMovedError) || error instanceof RunTakenError) throw error;
}

/** Works a run; an error that nobody foresaw ends it, told and counted, instead of trying the same for ever. */
async function work(context: RunContext): Promise<void> {
  try {
    await workRun(context);
  } catch (error: unknown) {
    // Nothing can be written about it here: the account is put down, and whoever has it next goes on.
    if (isDatabaseAway(error) || error instanceof RunTakenError) throw error;
    if (error instanceof ShutdownError || error instanceof RunMovedError) return;
    context.services.logger.error({ err: error }, 'a run broke');
    context.problem ??= BROKEN;
    await endRun(context);
  }
}

/** What a worker holds or held; whether somebody has asked for its end. */
async function runsInHand(
  { database }: EngineServices,
  account: string,
): Promise<{ readonly id: string; readonly isCanceling: boolean }[]> {
  const rows = await database.reader.query<{ id: string; state: ExportRunState }[]>(
    `SELECT "id", "state" FROM "export_runs" WHERE "account" = $1 AND "state" IN ('RUNNING', 'CANCELING')
     ORDER BY "id"`,
    [account],
  );
  return rows.map(({ id, state }) => ({ id, isCanceling: state === ExportRunState.CANCELING }));
}

/** Runs to choose from: the first may have to wait for the end of the one before it, which is still in hand. */
const CHOICE = 5;

/**
 * The next that may be prepared: queued with nothing of its export under way before it, or begun by an earlier worker. The
 * smallest first, by the size of its segments: whoever exports 200 people does not wait for somebody's million.
 * @param except those that are being prepared.
 */
async function runsToPrepare(
  { database }: EngineServices,
  account: string,
  except: readonly string[],
): Promise<ExportRun[]> {
  const ids = await database.reader.query<{ id: string }[]>(
    `SELECT "run"."id" FROM "export_runs" AS "run"
     WHERE "run"."account" = $1
       AND ("run"."state" = 'QUEUED' AND NOT EXISTS (SELECT 1 FROM "export_runs" AS "before"
           WHERE "before"."exportId" = "run"."exportId" AND "before"."state" IN (${UNDER_WAY_LIST}))
         OR "run"."state" = 'RUNNING' AND COALESCE("run"."phase", 'PREPARING') = 'PREPARING')
       AND "run"."id" NOT IN ${dialectOf(database.reader).list('$2')}
     ORDER BY (SELECT SUM("segments"."memberCount") FROM "export_segments" AS "use"
         JOIN "segments" ON "segments"."id" = "use"."segmentId" WHERE "use"."exportId" = "run"."exportId"), "run"."id"
     LIMIT ${CHOICE}`,
    [account, JSON.stringify(except)],
  );
  const runs = await database.reader.findBy(ExportRun, { id: In(ids.map(({ id }) => id)) });
  return ids.flatMap(({ id }) => runs.find((run) => run.id === id) ?? []);
}

const UNDER_WAY_LIST = UNDER_WAY.map((state) => `'${state}'`).join(', ');

/** An export that was attached to another account meanwhile may have its next run queued there, waiting for this one. */
async function ringElsewhere(
  { database, queue }: PumpServices,
  { exportId, account }: ExportRun,
): Promise<void> {
  const queued = { exportId, account: Not(account), state: ExportRunState.QUEUED };
  const next = await database.reader.findOneBy(ExportRun, queued);
  if (next === null) return;
  await database.transact((transaction) => queue.ring(transaction, next.account));
}

/** Other calls are written down nowhere: whoever worked the account a moment ago may have made as many as it allows. */
function unknownCalls({ callQuota }: DestinationLimits, now: number): PastRequest[] {
  return Array.from({ length: callQuota.calls }, () => ({ kind: 'CALL', at: now, endedAt: now }));
}

/**
 * The account's last batches, so that whoever takes it over does not overrun its quotas. Those that were answered
 * within the window may have begun in the one before it; of one that nobody saw accepted, the answer may come even now.
 * Two windows hold no more than twice the quota: more rows are found only where the wall clock was put back since.
 */
async function pastRequests(
  services: EngineServices,
  account: string,
  { calls, windowMs }: Quota,
): Promise<PastRequest[]> {
  const { wallMs, monotonicMs } = instantOf(services.clock);
  const since = new Date(wallMs - 2 * windowMs).toISOString();
  /** What the wall clock has yet to show, because it was put back, counts as now. */
  const monotonicOf = (moment: Date) => monotonicMs - Math.max(0, wallMs - moment.getTime());
  const batches = await services.database.reader
    .createQueryBuilder(Batch, 'batch')
    .innerJoin(ExportRun, 'run', 'run.id = batch.runId')
    .where('run.account = :account AND batch.intentAt >= :since', { account, since })
    .orderBy('batch.intentAt', 'DESC')
    .limit(2 * calls)
    .getMany();
  return batches.map(({ contacts, intentAt, acceptedAt }) => ({
    kind: contacts === 1 ? 'SINGLE' : 'BATCH',
    at: monotonicOf(intentAt),
    endedAt: acceptedAt !== null && acceptedAt >= intentAt ? monotonicOf(acceptedAt) : monotonicMs,
  }));
}
