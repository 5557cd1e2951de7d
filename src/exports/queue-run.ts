import type { EntityManager } from 'typeorm';
import type { Actor } from '../audit/record.js';
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
import { auditRun } from './audit-exports.js';
import { connectionProblem } from './conditions.js';
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
  const connection = await connectionOf(transaction.manager, definition);
  if (connection === null) {
    throw new ConflictError(
      'The export is detached from its connection and does not run.',
      'Attach it to a connection (attachExport).',
    );
  }
  await assertConsent(transaction.manager, connection.id);
  const problem = await connectionProblem(transaction.manager, connection);
  if (problem !== null) throw new ConnectionFailedError(problem.message, problem.remedy ?? undefined);
  return joinOrInsert(services, transaction, definition, connection, wish);
}

/**
 * Queues a run for somebody who does not wait for an answer: what could not run is noted as a SKIPPED run with its
 * problem, so that whoever looks finds out. A detached export does not run, and nothing is noted.
 * @param obstacle why it must not run, if that is known already.
 */
export async function queueOrSkipRun(
  services: QueueRunServices,
  transaction: Transaction,
  definition: Export,
  wish: RunWish,
  obstacle: Problem | null = null,
): Promise<ExportRun | null> {
  const { manager } = transaction;
  const connection = await connectionOf(manager, definition);
  if (connection === null) return null;
  const problem = obstacle ?? (await connectionProblem(manager, connection));
  if (problem === null) return joinOrInsert(services, transaction, definition, connection, wish);
  const run = await newRun(services, manager, definition, connection, wish);
  Object.assign(run, { state: ExportRunState.SKIPPED, problem, finishedAt: run.queuedAt });
  await manager.insert(ExportRun, run);
  await writeDown(services, manager, null, run, wish);
  transaction.afterCommit(() => {
    services.hub.changed(run.id);
    services.metrics.runEnded(run.state);
    tell(services, run, wish, 'run skipped');
  });
  return run;
}

async function connectionOf(manager: EntityManager, { connectionId }: Export): Promise<Connection | null> {
  return connectionId === null ? null : manager.findOneBy(Connection, { id: connectionId });
}

async function joinOrInsert(
  services: QueueRunServices,
  transaction: Transaction,
  definition: Export,
  connection: Connection,
  wish: RunWish,
): Promise<ExportRun> {
  const { manager } = transaction;
  const queued = await manager.findOneBy(ExportRun, {
    exportId: definition.id,
    state: ExportRunState.QUEUED,
  });
  if (queued !== null) {
    await writeDown(services, manager, queued.state, queued, wish);
    transaction.afterCommit(() => tell(services, queued, wish, 'run joined'));
    if (!wish.force || queued.force) return queued;
    await manager.update(ExportRun, { id: queued.id }, { force: true });
    return Object.assign(queued, { force: true });
  }
  const run = await newRun(services, manager, definition, connection, wish);
  await manager.insert(ExportRun, run);
  await writeDown(services, manager, null, run, wish);
  await services.queue.ring(transaction, run.account);
  transaction.afterCommit(() => {
    services.hub.changed(run.id);
    tell(services, run, wish, 'run queued');
  });
  return run;
}

/** Links the run with whatever asked for it: its request id, if the logger has one. */
function tell({ logger }: QueueRunServices, run: ExportRun, { trigger }: RunWish, what: string): void {
  const { id: runId, exportId, problem } = run;
  logger.info({ runId, exportId, trigger, ...(problem && { problem: problem.code }) }, what);
}

/** @param before the state of the run that is joined; null: it is new. */
async function writeDown(
  { clock }: QueueRunServices,
  manager: EntityManager,
  before: ExportRun['state'] | null,
  run: ExportRun,
  { asked, force }: RunWish,
): Promise<void> {
  if (asked === null) return;
  await auditRun(manager, { at: new Date(clock.now()), ...asked }, before, run, { force });
}

/** A queued run that is not stored yet. */
async function newRun(
  services: QueueRunServices,
  manager: EntityManager,
  definition: Export,
  connection: Connection,
  { trigger, asked, force }: RunWish,
): Promise<ExportRun> {
  return Object.assign(new ExportRun(), {
    id: newId(),
    exportId: definition.id,
    number: 1 + ((await manager.maximum(ExportRun, 'number', { exportId: definition.id })) ?? 0),
    trigger,
    requestedById: asked?.actor.id ?? null,
    force,
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
