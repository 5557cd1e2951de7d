import { Not } from 'typeorm';
import { isDatabaseAway } from '../database-errors.js';
import { instantOf } from '../clock.js';
import type { DestinationLimits, Quota } from '../destinations/destination.js';
import { Batch } from '../entities/batch.js';
import { Connection } from '../entities/connection.js';
import { ExportRun, ExportRunState } from '../entities/export-run.js';
import { createBell, type Bell } from './bell.js';
import { callersTurns } from './callers-turns.js';
import { createDecide } from './decisions.js';
import { beginTenure, RunTakenError } from './fence.js';
import { meteredTurns } from './metered-turns.js';
import { createPace, type PastRequest } from './pace.js';
import type { Queue } from './queue.js';
import {
  BROKEN,
  cancelSending,
  shutDown,
  ShutdownError,
  type EngineServices,
  type RunContext,
} from './run-context.js';
import { ACTIVE, RunMovedError, UNDER_WAY } from './run-states.js';
import { createTurns } from './turns.js';
import { endRun, takeUp, workRun } from './work-run.js';

interface PumpServices extends EngineServices {
  readonly queue: Queue;
}

/** What all runs of an account share. */
type Budget = Pick<RunContext, 'pace' | 'turns'> & { readonly close: () => void };

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
  const working = new Map<string, { context: RunContext; done: Promise<void> }>();
  const failures: unknown[] = [];
  let budget: Budget | undefined;
  /** Not every run that is to be worked is in hand yet. */
  let isTaking = true;
  const accountBell = createBell(services.clock);

  const budgetAt = async (limits: DestinationLimits): Promise<Budget> => {
    const pace = createPace(limits, [
      ...(await pastRequests(services, account, limits.batchQuota)),
      ...unknownCalls(limits, services.clock.monotonic()),
    ]);
    const metrics = services.metrics.openAccount(account, () => pace.share(services.clock.monotonic()));
    const turns = meteredTurns(createTurns(pace, services.clock), metrics, services.clock);
    const ofCallers = callersTurns({ pace, turns }, services.clock);
    services.workedAccounts.open(account, ofCallers);
    return {
      pace,
      turns,
      close: () => {
        services.workedAccounts.close(account, ofCallers);
        metrics.close();
      },
    };
  };

  const take = async (run: ExportRun) => {
    const connection = await services.database.reader.findOneBy(Connection, { id: run.connectionId });
    const host = connection?.host ?? '';
    const destination = services.destinations[run.kind];
    const limits = withoutOthers(destination.limits(host), services.workedAccounts.callsElsewhere);
    const { pace, turns } = (budget ??= await budgetAt(limits));
    const ours = { ...tenant, logger: services.logger.child({ runId: run.id }) };
    await takeUp(ours, run);
    const context: RunContext = {
      services: ours,
      run,
      destination,
      limits,
      pace,
      turns,
      urgency: () => run.toSend - run.confirmed - run.rejected - run.unconfirmed,
      decide: createDecide(tenant, run),
      clockThere: () => destination.timeAt(host),
      // Whoever was interrupted may have batches under way before it is taken up again.
      hasCompany: () => isTaking || sharesList(run, working.values()),
      bell: accountBell,
      sending: new AbortController(),
      asking: new AbortController(),
      problem: null,
      trouble: null,
    };
    const done = work(context)
      .then(() => ringElsewhere(services, run))
      .catch((error: unknown) => failures.push(error))
      .then(() => {
        working.delete(run.id);
        bell.ring();
        // The end of a run frees addresses that another run of the account may wait for.
        accountBell.ring();
      });
    working.set(run.id, { context, done });
  };

  try {
    while (!signal.aborted && failures.length === 0) {
      const seen = bell.count();
      isTaking = true;
      for (const run of await runsToWork(services, account)) {
        if (!working.has(run.id) && mayStart(run, working.values())) await take(run).catch(ignoreMoved);
        const taken = working.get(run.id);
        if (taken !== undefined && run.state === ExportRunState.CANCELING) cancelSending(taken.context);
      }
      isTaking = false;
      if (working.size === 0) break;
      await bell.after(seen);
    }
  } finally {
    const taken = [...working.values()];
    for (const { context } of taken) shutDown(context);
    await Promise.all(taken.map(({ done }) => done));
    budget?.close();
  }
  if (failures.length > 0) throw failures[0];
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

/** A queued run waits until the one before it has ended: runs of one export never overlap. */
function mayStart(run: ExportRun, working: Iterable<{ context: RunContext }>): boolean {
  return [...working].every(({ context }) => context.run.exportId !== run.exportId);
}

/** Whether another run that is under way goes to the same list. */
function sharesList(run: ExportRun, working: Iterable<{ context: RunContext }>): boolean {
  return [...working].some(({ context }) => context.run.id !== run.id && context.run.listId === run.listId);
}

/** What a worker holds or held, and what is queued with nothing of its export under way before it. */
async function runsToWork({ database }: EngineServices, account: string): Promise<ExportRun[]> {
  return database.reader
    .createQueryBuilder(ExportRun, 'run')
    .where('run.account = :account', { account })
    .andWhere((query) => {
      const before = query.subQuery().select('1').from(ExportRun, 'before');
      before.where('before.exportId = run.exportId AND before.state IN (:...underWay)');
      return `(run.state IN (:...active) OR (run.state = :queued AND NOT EXISTS ${before.getQuery()}))`;
    })
    .setParameters({ active: ACTIVE, queued: ExportRunState.QUEUED, underWay: UNDER_WAY })
    .orderBy('run.id')
    .getMany();
}

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
