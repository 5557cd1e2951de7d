import { In, type EntityManager, type SelectQueryBuilder } from 'typeorm';
import type { SignedInActor } from '../audit/record.js';
import type { Clock } from '../clock.js';
import type { Database } from '../database.js';
import { ExportRun, ExportRunState, ExportRunTrigger, RunRequest } from '../entities/export-run.js';
import { Export } from '../entities/export.js';
import { Rejection, type RejectionReason } from '../entities/rejection.js';
import { BadInputError, IdempotencyKeyReusedError, NotFoundError } from '../errors.js';
import { auditRun } from './audit-exports.js';
import type { EngineMetrics } from './engine-metrics.js';
import type { Queue } from './queue.js';
import type { Logger } from '../logger.js';
import { readPage, type Page, type PageRequest } from '../page.js';
import type { ProgressHub } from './progress-hub.js';
import { queueRun } from './queue-run.js';
import { isFinal, moveRun, UNFINISHED } from './run-states.js';

/** What asking for runs needs. */
export interface RunServices {
  readonly database: Database;
  readonly clock: Clock;
  /** Of the request that asks: its lines tell which run it asked for. */
  readonly logger: Logger;
  readonly queue: Queue;
  readonly hub: ProgressHub;
  readonly metrics: EngineMetrics;
}

const MAX_KEY_LENGTH = 200;

/**
 * Asks for a run, as `queueRun` tells.
 * @param options.force sends also who is at the destination as wanted; a queued run that is joined becomes a forced one.
 * @param options.idempotencyKey the caller's name for this request: the same again gets the same run.
 * @throws {NotFoundError} for an unknown export, {ConflictError} for a detached one; {ConsentRequiredError},
 *   {ConnectionFailedError} when it could not run; {IdempotencyKeyReusedError} when the key named another request.
 */
export async function requestRun(
  services: RunServices,
  actor: SignedInActor,
  exportId: string,
  options: { idempotencyKey?: string | null; force?: boolean } = {},
): Promise<ExportRun> {
  const idempotencyKey = parseKey(options.idempotencyKey);
  const force = options.force ?? false;
  return services.database.transact(async (transaction) => {
    const { manager } = transaction;
    const definition = await manager.findOneBy(Export, { id: exportId });
    if (definition === null) throw new NotFoundError('export');
    const answered = await answeredBefore(manager, actor, { exportId, force }, idempotencyKey);
    const event = { actor, action: 'runExport' };
    if (answered !== null) {
      const at = new Date(services.clock.now());
      await auditRun(manager, { at, ...event }, answered.state, answered, { repeated: true });
      return answered;
    }

    const run = await queueRun(services, transaction, definition, {
      trigger: ExportRunTrigger.ON_DEMAND,
      asked: event,
      force,
    });
    if (idempotencyKey !== undefined) {
      const requestedAt = new Date(services.clock.now());
      await manager.insert(RunRequest, {
        requestedById: actor.id,
        idempotencyKey,
        exportId,
        force,
        runId: run.id,
        requestedAt,
      });
    }
    return run;
  });
}

/**
 * Asks a run to end. A queued run is cancelled at once; of a running or held one nothing more is sent, and what the
 * destination accepted is still followed up. A run that is ending or has ended stays as it is.
 * @throws {NotFoundError}
 */
export async function cancelRun(services: RunServices, actor: SignedInActor, id: string): Promise<ExportRun> {
  return services.database.transact(async (transaction) => {
    const { manager } = transaction;
    const run = await manager.findOneBy(ExportRun, { id });
    if (run === null) throw new NotFoundError('run');
    const now = new Date(services.clock.now());
    const event = { at: now, actor, action: 'cancelExportRun' };
    const before = run.state;
    if (isFinal(before) || before === ExportRunState.CANCELING) {
      await auditRun(manager, event, before, run);
      return run;
    }
    if (before === ExportRunState.QUEUED) {
      await moveRun(manager, run, ExportRunState.CANCELED, { cancelRequestedAt: now, finishedAt: now });
    } else {
      await moveRun(manager, run, ExportRunState.CANCELING, { cancelRequestedAt: now });
    }
    await auditRun(manager, event, before, run);
    await services.queue.ring(transaction, run.account);
    transaction.afterCommit(() => {
      services.hub.changed(id);
      if (isFinal(run.state)) services.metrics.runEnded(run.state);
      services.logger.info({ runId: id, state: run.state }, 'run is to end');
    });
    return run;
  });
}

/** @throws {NotFoundError} */
export async function getRun({ database }: Pick<RunServices, 'database'>, id: string): Promise<ExportRun> {
  const run = await runsOfExports(database.reader).andWhere('run.id = :id', { id }).getOne();
  if (run === null) throw new NotFoundError('run');
  return run;
}

/** Runs, the latest first. */
export async function listRuns(
  { database }: Pick<RunServices, 'database'>,
  page: PageRequest,
  filter: { state?: ExportRunState | null; exportId?: string },
): Promise<Page<ExportRun>> {
  const query = runsOfExports(database.reader);
  if (filter.state) query.andWhere('run.state = :state', { state: filter.state });
  if (filter.exportId !== undefined)
    query.andWhere('run.exportId = :exportId', { exportId: filter.exportId });
  return readPage(query, page, 'DESC');
}

/** The people of a run who did not arrive, in the order in which that became known. */
export async function listRejections(
  { database }: Pick<RunServices, 'database'>,
  runId: string,
  page: PageRequest,
  reason?: RejectionReason | null,
): Promise<Page<Rejection>> {
  const query = database.reader
    .createQueryBuilder(Rejection, 'rejection')
    .where('rejection.runId = :runId', { runId });
  if (reason) query.andWhere('rejection.reason = :reason', { reason });
  return readPage(query, page, 'ASC');
}

/** Runs whose export is there: those of a removed one are taken away in steps. */
function runsOfExports(reader: EntityManager): SelectQueryBuilder<ExportRun> {
  return reader.createQueryBuilder(ExportRun, 'run').innerJoin(Export, 'export', 'export.id = run.exportId');
}

/** The accounts with runs that are not at an end: the queue begins with them. */
export async function accountsWithWork(reader: EntityManager): Promise<string[]> {
  const runs = await reader.find(ExportRun, {
    select: { id: true, account: true },
    where: { state: In(UNFINISHED) },
  });
  return [...new Set(runs.map((run) => run.account))];
}

/** The run that an earlier request with this key got, if there was one. */
async function answeredBefore(
  manager: EntityManager,
  actor: SignedInActor,
  request: { exportId: string; force: boolean },
  idempotencyKey: string | undefined,
): Promise<ExportRun | null> {
  if (idempotencyKey === undefined) return null;
  const earlier = await manager.findOneBy(RunRequest, { requestedById: actor.id, idempotencyKey });
  if (earlier === null) return null;
  if (earlier.exportId !== request.exportId || earlier.force !== request.force) {
    throw new IdempotencyKeyReusedError(
      'This idempotency key was used for another request.',
      'Use a new key for every request that is not a repetition.',
      'idempotencyKey',
    );
  }
  return manager.findOneBy(ExportRun, { id: earlier.runId });
}

function parseKey(key: string | null | undefined): string | undefined {
  if (key === null || key === undefined) return undefined;
  if (key === '' || key.length > MAX_KEY_LENGTH || /\p{Cc}/u.test(key)) {
    throw new BadInputError(
      'idempotencyKey',
      'The idempotency key is empty, too long or has control characters.',
      `Use 1 to ${MAX_KEY_LENGTH} characters, a UUID for example.`,
    );
  }
  return key;
}
