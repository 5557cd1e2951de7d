import { In, type EntityManager } from 'typeorm';
import type { Actor } from '../audit/record.js';
import { dialectOf } from '../bulk-sql.js';
import type { Clock } from '../clock.js';
import { assertConsent } from '../connections/consent.js';
import type { Transaction } from '../database.js';
import { Connection } from '../entities/connection.js';
import { ExportRun, ExportRunState, type ExportRunTrigger } from '../entities/export-run.js';
import type { Export } from '../entities/export.js';
import type { Problem } from '../entities/problem.js';
import { ConflictError, ConnectionFailedError } from '../errors.js';
import { newId } from '../ids.js';
import type { Logger } from '../logger.js';
import { auditRuns } from './audit-exports.js';
import { connectionProblem, connectionProblems } from './conditions.js';
import type { EngineMetrics } from './engine-metrics.js';
import type { ProgressHub } from './progress-hub.js';
import type { Queue } from './queue.js';

export interface QueueRunServices {
  readonly clock: Clock;
  /** Of the request that asks: its lines tell which run it asked for. */
  readonly logger: Logger;
  readonly queue: Queue;
  readonly hub: ProgressHub;
  readonly metrics: EngineMetrics;
}

/** What starts a run, and how. */
export interface RunWish {
  readonly trigger: ExportRunTrigger;
  /** In whose name, and by what, for the audit trail. Null: nobody asked, it was due. */
  readonly asked: { readonly actor: Actor; readonly action: string } | null;
  /** Sends also who is at the destination as wanted; a queued run that is joined becomes a forced one. */
  readonly force: boolean;
}

/** An export of which a run is wanted. */
export interface Wanted {
  readonly definition: Export;
  /** Why it must not run, if that is known already. */
  readonly obstacle?: Problem | null;
}

/** Exports that one transaction queues at most: some 50 ms. Whoever queues more does so in groups of this size. */
export const QUEUED_AT_ONCE = 100;

/**
 * Queues a run. One run of an export is under way or held, and at most one more is queued: a wish that finds one queued
 * gets that one back, because it will see everything that the wish wants sent.
 * @throws {ConflictError} for a detached export; {ConsentRequiredError}, {ConnectionFailedError} when it could not run.
 */
export async function queueRun(
  services: QueueRunServices,
  transaction: Transaction,
  definition: Export,
  wish: RunWish,
): Promise<ExportRun> {
  const { manager } = transaction;
  const [connection] = await connectionsOf(manager, [definition]);
  if (connection === undefined) {
    throw new ConflictError(
      'The export is detached from its connection and does not run.',
      'Attach it to a connection (attachExport).',
    );
  }
  await assertConsent(manager, connection.id);
  const problem = await connectionProblem(manager, connection);
  if (problem !== null) throw new ConnectionFailedError(problem.message, problem.remedy ?? undefined);
  const [run] = await writeRuns(services, transaction, [{ definition, connection, problem }], wish);
  if (run === undefined) throw new Error('The run was not written');
  return run;
}

/**
 * Queues runs for somebody who does not wait for an answer: what could not run is noted as a SKIPPED run with its
 * problem, so that whoever looks finds out. A detached export does not run, and nothing is noted.
 *
 * The number of statements does not depend on how many there are. The workers of an account are notified once, after the
 * commit.
 * @param wanted each export once, and not more than {@link QUEUED_AT_ONCE}.
 * @returns the run of each, queued, joined or skipped, in the same order; null: it is detached.
 */
export async function queueOrSkipRuns(
  services: QueueRunServices,
  transaction: Transaction,
  wanted: readonly Wanted[],
  wish: RunWish,
): Promise<(ExportRun | null)[]> {
  const { manager } = transaction;
  const connections = await connectionsOf(
    manager,
    wanted.map(({ definition }) => definition),
  );
  const byId = new Map(connections.map((connection) => [connection.id, connection]));
  const problems = await connectionProblems(manager, [...byId.keys()]);
  const attached = wanted.flatMap(({ definition, obstacle = null }) => {
    const connection = byId.get(definition.connectionId ?? '');
    if (connection === undefined) return [];
    return { definition, connection, problem: obstacle ?? problems.get(connection.id) ?? null };
  });
  const runs = await writeRuns(services, transaction, attached, wish);
  const byExport = new Map(runs.map((run) => [run.exportId, run]));
  return wanted.map(({ definition }) => byExport.get(definition.id) ?? null);
}

async function connectionsOf(manager: EntityManager, definitions: readonly Export[]): Promise<Connection[]> {
  const ids = new Set(definitions.flatMap(({ connectionId }) => connectionId ?? []));
  return ids.size === 0 ? [] : manager.findBy(Connection, { id: In([...ids]) });
}

/** An export that has a connection, and why it cannot run, if so. */
interface Attached {
  readonly definition: Export;
  readonly connection: Connection;
  readonly problem: Problem | null;
}

/** What became of a wish: `before` is the state of the run that it joined; null: the run is new. */
interface Written {
  readonly run: ExportRun;
  readonly before: ExportRunState | null;
}

async function writeRuns(
  services: QueueRunServices,
  transaction: Transaction,
  attached: readonly Attached[],
  wish: RunWish,
): Promise<ExportRun[]> {
  const { manager } = transaction;
  const earlier = await earlierRuns(
    manager,
    attached.map(({ definition }) => definition.id),
  );
  const written = attached.map(({ definition, connection, problem }): Written => {
    const { queued, lastNumber } = earlier.get(definition.id) ?? { lastNumber: 0 };
    if (problem === null && queued !== undefined) return { run: queued, before: queued.state };
    const run = newRun(services, definition, connection, { ...wish, number: lastNumber + 1 });
    if (problem !== null) {
      Object.assign(run, { state: ExportRunState.SKIPPED, problem, finishedAt: run.queuedAt });
    }
    return { run, before: null };
  });
  const fresh = written.filter(({ before }) => before === null).map(({ run }) => run);
  const joined = written.filter(({ before }) => before !== null).map(({ run }) => run);
  if (fresh.length > 0) await manager.insert(ExportRun, fresh);
  await force(manager, wish.force ? joined.filter((run) => !run.force) : []);
  await writeDown(services, manager, written, wish);
  const queued = fresh.filter(({ state }) => state === ExportRunState.QUEUED);
  for (const account of new Set(queued.map((run) => run.account))) {
    await services.queue.ring(transaction, account);
  }
  transaction.afterCommit(() => {
    for (const { run, before } of written) announce(services, run, before, wish);
  });
  return written.map(({ run }) => run);
}

/** Which run of each export is queued, and the number of its last one. */
async function earlierRuns(
  manager: EntityManager,
  exportIds: readonly string[],
): Promise<Map<string, { readonly queued: ExportRun | undefined; readonly lastNumber: number }>> {
  const queued = await manager.findBy(ExportRun, {
    exportId: In([...exportIds]),
    state: ExportRunState.QUEUED,
  });
  const byExport = new Map(queued.map((run) => [run.exportId, run]));
  // A subquery for each export reads one row of the index; grouped, all its runs would be read.
  const numbers = await manager.query<{ exportId: string; last: number | null }[]>(
    `SELECT "value" AS "exportId",
       (SELECT MAX("number") FROM "export_runs" WHERE "export_runs"."exportId" = "wanted"."value") AS "last"
     FROM ${dialectOf(manager).list('$1')} AS "wanted"`,
    [JSON.stringify(exportIds)],
  );
  return new Map(
    numbers.map(({ exportId, last }) => [
      exportId,
      { queued: byExport.get(exportId), lastNumber: last ?? 0 },
    ]),
  );
}

async function force(manager: EntityManager, runs: readonly ExportRun[]): Promise<void> {
  if (runs.length === 0) return;
  await manager.update(ExportRun, { id: In(runs.map(({ id }) => id)) }, { force: true });
  for (const run of runs) run.force = true;
}

function announce(
  services: QueueRunServices,
  run: ExportRun,
  before: ExportRunState | null,
  wish: RunWish,
): void {
  if (before !== null) {
    tell(services, run, wish, 'run joined');
    return;
  }
  services.hub.changed(run.id);
  const isSkipped = run.state === ExportRunState.SKIPPED;
  if (isSkipped) services.metrics.runEnded(run.state);
  tell(services, run, wish, isSkipped ? 'run skipped' : 'run queued');
}

/** Links the run with whatever asked for it: its request id, if the logger has one. */
function tell({ logger }: QueueRunServices, run: ExportRun, { trigger }: RunWish, what: string): void {
  const { id: runId, exportId, problem } = run;
  logger.info({ runId, exportId, trigger, ...(problem && { problem: problem.code }) }, what);
}

async function writeDown(
  { clock }: QueueRunServices,
  manager: EntityManager,
  written: readonly Written[],
  { asked, force: forced }: RunWish,
): Promise<void> {
  if (asked === null) return;
  await auditRuns(manager, { at: new Date(clock.now()), ...asked }, written, { force: forced });
}

/** A queued run that is not stored yet. */
function newRun(
  services: QueueRunServices,
  definition: Export,
  connection: Connection,
  { trigger, asked, force: forced, number }: RunWish & { readonly number: number },
): ExportRun {
  return Object.assign(new ExportRun(), {
    id: newId(),
    exportId: definition.id,
    number,
    trigger,
    requestedById: asked?.actor.id ?? null,
    force: forced,
    state: ExportRunState.QUEUED,
    phase: null,
    problem: null,
    connectionId: connection.id,
    connectionRevision: connection.revision,
    kind: connection.kind,
    account: definition.account,
    listId: definition.list.id,
    runAutomations: definition.runAutomations,
    generations: null,
    ledgerId: null,
    queuedAt: new Date(services.clock.now()),
    startedAt: null,
    finishedAt: null,
    cancelRequestedAt: null,
    heldAt: null,
    approvedLeavers: null,
    departuresFinalAt: null,
    attempt: 1,
    sequence: 0,
    members: null,
    skipped: 0,
    unchanged: 0,
    leavers: 0,
    toSend: 0,
    newcomers: 0,
    newcomersRefused: 0,
    accepted: 0,
    confirmed: 0,
    rejected: 0,
    unconfirmed: 0,
    notSent: 0,
  });
}
