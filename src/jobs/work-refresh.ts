import { In, type EntityManager } from 'typeorm';
import type { Clock } from '../clock.js';
import { isDatabaseAway } from '../database-errors.js';
import { ExportRunState, ExportRunTrigger } from '../entities/export-run.js';
import { ExportSchedule, Recurrence } from '../entities/export-schedule.js';
import { Export, ExportSegment } from '../entities/export.js';
import type { Problem } from '../entities/problem.js';
import {
  Refresh,
  RefreshState,
  RefreshStep,
  RefreshStepKind,
  RefreshStepState,
} from '../entities/refresh.js';
import { Segment, SegmentState } from '../entities/segment.js';
import { BadInputError, SluiceError } from '../errors.js';
import {
  QUEUED_AT_ONCE,
  queueOrSkipRuns,
  type QueueRunServices,
  type RunWish,
  type Wanted,
} from '../exports/queue-run.js';
import { inGroups } from '../in-groups.js';
import { evaluateSegment } from '../profiles/dynamic-segments.js';
import { StoppingError } from '../profiles/evaluate.js';
import type { SegmentEvaluationServices } from '../profiles/evaluate-segment.js';
import { holdRefresh, newStep, SEGMENT_INACTIVE, stepsOf } from './refreshes.js';

export interface RefreshServices extends SegmentEvaluationServices, QueueRunServices {
  readonly clock: Clock;
}

/**
 * Works a refresh to its end:
 *
 * 1. evaluate the dynamic segments, one after the other; one that fails keeps the members that it had;
 * 2. queue a run of every export whose schedule is on and follows every refresh; one that has a failed segment gets a
 *    SKIPPED run with the reason.
 *
 * Every step is noted as it is taken, and an export's step in the transaction that queues its run, a group of exports in
 * each: a refresh that was interrupted goes on where it was, and no export runs twice.
 * @throws {StoppingError} when the process stops, {RefreshMovedError} when somebody else took it up: it stays as it is.
 */
export async function workRefresh(services: RefreshServices, refresh: Refresh): Promise<void> {
  for (const step of await stepsOf(services, refresh.id)) {
    const isLeft = step.state === RefreshStepState.PENDING || step.state === RefreshStepState.RUNNING;
    if (step.kind === RefreshStepKind.SEGMENT && isLeft) await evaluate(services, refresh, step);
  }
  const obstacles = new Map<string, Problem>();
  const steps = await stepsOf(services, refresh.id);
  for (const { kind, state, subjectId, problem } of steps) {
    const isFailure = kind === RefreshStepKind.SEGMENT && state === RefreshStepState.FAILED;
    if (isFailure && problem !== null) obstacles.set(subjectId, problem);
  }
  const queued = new Set(
    steps.filter(({ kind }) => kind === RefreshStepKind.EXPORT).map(({ subjectId }) => subjectId),
  );
  const left = (await followers(services)).filter((exportId) => !queued.has(exportId));
  let position = steps.length;
  for (const group of inGroups(left, QUEUED_AT_ONCE)) {
    if (services.closing.aborted) throw new StoppingError();
    position += await queueFollowers(services, refresh, { exportIds: group, position, obstacles });
  }
  await finish(services, refresh);
}

async function evaluate(services: RefreshServices, refresh: Refresh, step: RefreshStep): Promise<void> {
  const startedAt = new Date(services.clock.now());
  await note(services, refresh, step, { state: RefreshStepState.RUNNING, startedAt });
  const outcome = await outcomeOf(services, step);
  await note(services, refresh, step, { ...outcome, finishedAt: new Date(services.clock.now()) });
}

async function outcomeOf(
  services: RefreshServices,
  { subjectId, name }: RefreshStep,
): Promise<Pick<RefreshStep, 'state'> & Partial<RefreshStep>> {
  const segment = await services.database.reader.findOneBy(Segment, { id: subjectId });
  if (segment?.state !== SegmentState.ACTIVE) {
    return { state: RefreshStepState.SKIPPED, problem: SEGMENT_INACTIVE };
  }
  try {
    const { memberCount } = await evaluateSegment(services, subjectId);
    return { state: RefreshStepState.SUCCEEDED, memberCount };
  } catch (error: unknown) {
    // A database that was away says nothing about the segment: whoever takes the refresh up next evaluates it again.
    if (error instanceof StoppingError || isDatabaseAway(error)) throw error;
    const isTold = error instanceof SluiceError;
    if (!isTold)
      services.logger.error({ segmentId: subjectId, err: error }, 'a segment could not be evaluated');
    // Everybody reads refreshes, but not the values that a rule compares with, which such an error quotes.
    const quotesValue = error instanceof BadInputError && error.field?.endsWith('.value') === true;
    const reason = quotesValue
      ? 'A value of its rule cannot be used.'
      : isTold
        ? error.message
        : 'Something went wrong inside Sluice; the log has it.';
    const remedy = isTold && !quotesValue ? error.remedy : undefined;
    return {
      state: RefreshStepState.FAILED,
      problem: {
        code: 'SEGMENT_FAILED',
        message: `The segment "${name}" could not be evaluated. ${reason}`,
        remedy: remedy ?? 'Evaluate the segment by itself (refreshSegment) to see what is wrong.',
      },
    };
  }
}

async function note(
  { database }: RefreshServices,
  refresh: Refresh,
  { refreshId, position }: RefreshStep,
  changes: Partial<RefreshStep>,
): Promise<void> {
  await database.transact(async ({ manager }) => {
    await holdRefresh(manager, refresh);
    await manager.update(RefreshStep, { refreshId, position }, changes);
  });
}

/** The exports that follow every refresh and are attached, by age. */
async function followers({ database }: RefreshServices): Promise<string[]> {
  const schedules = await database.reader
    .createQueryBuilder(ExportSchedule, 'schedule')
    .innerJoin(Export, 'export', 'export.id = schedule.exportId')
    .where('schedule.enabled = :enabled AND schedule.recurrence = :recurrence', {
      enabled: true,
      recurrence: Recurrence.EVERY_REFRESH,
    })
    .andWhere('export.connectionId IS NOT NULL')
    .orderBy('schedule.exportId')
    .getMany();
  return schedules.map(({ exportId }) => exportId);
}

/** @returns how many steps were noted: none for an export that was removed, detached or switched off meanwhile. */
async function queueFollowers(
  services: RefreshServices,
  refresh: Refresh,
  facts: {
    readonly exportIds: readonly string[];
    /** Of the first step that is noted. */
    readonly position: number;
    readonly obstacles: ReadonlyMap<string, Problem>;
  },
): Promise<number> {
  return services.database.transact(async (transaction) => {
    const { manager } = transaction;
    await holdRefresh(manager, refresh);
    const wanted = await stillWanted(manager, facts);
    const wish = { trigger: ExportRunTrigger.REFRESH, asked: askedBy(refresh), force: false };
    const runs = await queueOrSkipRuns(services, transaction, wanted, wish);
    const now = new Date(services.clock.now());
    const noted = wanted.flatMap(({ definition }, index) => {
      const run = runs[index];
      return run == null ? [] : { definition, run };
    });
    const steps = noted.map(({ definition, run }, index) =>
      newStep(refresh, facts.position + index, RefreshStepKind.EXPORT, definition, {
        state: run.state === ExportRunState.SKIPPED ? RefreshStepState.SKIPPED : RefreshStepState.SUCCEEDED,
        problem: run.problem,
        runId: run.id,
        startedAt: now,
        finishedAt: now,
      }),
    );
    if (steps.length > 0) await manager.insert(RefreshStep, steps);
    return steps.length;
  });
}

/** Those that still follow every refresh, by age, each with the problem of a segment of its that failed. */
async function stillWanted(
  manager: EntityManager,
  {
    exportIds,
    obstacles,
  }: { readonly exportIds: readonly string[]; readonly obstacles: ReadonlyMap<string, Problem> },
): Promise<Wanted[]> {
  const definitions = await manager
    .createQueryBuilder(Export, 'export')
    .innerJoin(
      ExportSchedule,
      'schedule',
      'schedule.exportId = export.id AND schedule.enabled = :enabled AND schedule.recurrence = :recurrence',
      { enabled: true, recurrence: Recurrence.EVERY_REFRESH },
    )
    .where('export.id IN (:...exportIds)', { exportIds })
    .orderBy('export.id')
    .getMany();
  if (obstacles.size === 0) return definitions.map((definition) => ({ definition }));
  const uses = await manager.findBy(ExportSegment, { exportId: In([...exportIds]) });
  const ofExport = Map.groupBy(uses, ({ exportId }) => exportId);
  return definitions.map((definition) => {
    const own = ofExport.get(definition.id) ?? [];
    return {
      definition,
      obstacle: own.flatMap(({ segmentId }) => obstacles.get(segmentId) ?? [])[0] ?? null,
    };
  });
}

/** Null: nobody asked, it was due. */
function askedBy({ requestedById: id, requestedFrom: address }: Refresh): RunWish['asked'] {
  return id === null ? null : { actor: { id, address }, action: 'runRefresh' };
}

async function finish(services: RefreshServices, refresh: Refresh): Promise<void> {
  const { id } = refresh;
  await services.database.transact(async ({ manager }) => {
    await holdRefresh(manager, refresh);
    const isClouded =
      (await manager.existsBy(RefreshStep, { refreshId: id, state: RefreshStepState.FAILED })) ||
      (await manager.existsBy(RefreshStep, {
        refreshId: id,
        kind: RefreshStepKind.EXPORT,
        state: RefreshStepState.SKIPPED,
      }));
    const state = isClouded ? RefreshState.SUCCEEDED_WITH_WARNINGS : RefreshState.SUCCEEDED;
    await manager.update(Refresh, { id }, { state, finishedAt: new Date(services.clock.now()) });
  });
}
