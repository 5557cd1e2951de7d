import type { EntityManager } from 'typeorm';
import { In } from 'typeorm';
import type { Clock } from '../clock.js';
import type { Database } from '../database.js';
import { ExportRun } from '../entities/export-run.js';
import type { Problem } from '../entities/problem.js';
import {
  Refresh,
  RefreshState,
  RefreshStep,
  RefreshStepKind,
  RefreshStepState,
} from '../entities/refresh.js';
import { Segment, SegmentKind, SegmentState } from '../entities/segment.js';
import { newId } from '../ids.js';
import { readPage, type Page, type PageRequest } from '../page.js';

interface Reads {
  readonly database: Database;
}

/** Somebody else took the refresh up, or ended it. */
export class RefreshMovedError extends Error {
  constructor(id: string) {
    super(`The refresh ${id} was taken up by somebody else.`);
    this.name = 'RefreshMovedError';
  }
}

export const SEGMENT_INACTIVE: Problem = {
  code: 'SEGMENT_INACTIVE',
  message: 'The segment is inactive, or was removed.',
  remedy: 'Activate it (setSegmentState) if it is to be refreshed.',
};

/** What asks for a refresh, and in whose name; null: nobody's, it was due. */
export type RefreshWish = Pick<Refresh, 'trigger' | 'requestedById' | 'requestedFrom'>;

/** The refresh that is under way, if one is: there is one at most. */
export async function runningRefresh(manager: EntityManager): Promise<Refresh | null> {
  return manager.findOneBy(Refresh, { state: RefreshState.RUNNING });
}

/**
 * Writes down a refresh with a step for each dynamic segment, in the order in which they were made. Only when none is under
 * way.
 */
export async function beginRefresh(
  { clock }: { readonly clock: Clock },
  manager: EntityManager,
  wish: RefreshWish,
): Promise<Refresh> {
  const startedAt = new Date(clock.now());
  const refresh = Object.assign(new Refresh(), {
    id: newId(),
    ...wish,
    state: RefreshState.RUNNING,
    attempt: 0,
    startedAt,
    finishedAt: null,
  });
  await manager.insert(Refresh, refresh);
  const segments = await manager.find(Segment, {
    where: { kind: SegmentKind.DYNAMIC },
    order: { id: 'ASC' },
  });
  for (const [position, { id, name, state }] of segments.entries()) {
    const isActive = state === SegmentState.ACTIVE;
    const ending = { state: RefreshStepState.SKIPPED, problem: SEGMENT_INACTIVE, finishedAt: startedAt };
    const step = newStep(refresh, position, RefreshStepKind.SEGMENT, { id, name }, isActive ? {} : ending);
    await manager.insert(RefreshStep, step);
  }
  return refresh;
}

/** A step whose turn has not come, unless `more` says otherwise. */
export function newStep(
  { id: refreshId }: Refresh,
  position: number,
  kind: RefreshStepKind,
  subject: { readonly id: string; readonly name: string },
  more: Partial<RefreshStep> = {},
): RefreshStep {
  return Object.assign(new RefreshStep(), {
    refreshId,
    position,
    kind,
    subjectId: subject.id,
    name: subject.name,
    state: RefreshStepState.PENDING,
    problem: null,
    memberCount: null,
    runId: null,
    startedAt: null,
    finishedAt: null,
    ...more,
  });
}

/**
 * The fence of a refresh, to be called in every transaction that writes for it: a worker that was thought dead holds an
 * old attempt.
 * @throws {RefreshMovedError}
 */
export async function holdRefresh(manager: EntityManager, { id, attempt }: Refresh): Promise<void> {
  const isOurs = await manager.existsBy(Refresh, { id, attempt, state: RefreshState.RUNNING });
  if (!isOurs) throw new RefreshMovedError(id);
}

/** The latest first. */
export async function listRefreshes({ database }: Reads, page: PageRequest): Promise<Page<Refresh>> {
  return readPage(database.reader.createQueryBuilder(Refresh, 'refresh'), page, 'DESC');
}

/** The segments, then the exports. */
export async function stepsOf({ database }: Reads, refreshId: string): Promise<RefreshStep[]> {
  return database.reader.find(RefreshStep, { where: { refreshId }, order: { position: 'ASC' } });
}

/** The runs that a refresh queued, joined or skipped, in the order of its steps. */
export async function runsOf(services: Reads, refreshId: string): Promise<ExportRun[]> {
  const ids = (await stepsOf(services, refreshId)).flatMap(({ runId }) => runId ?? []);
  const runs = await services.database.reader.findBy(ExportRun, { id: In(ids) });
  const byId = new Map(runs.map((run) => [run.id, run]));
  return ids.flatMap((id) => byId.get(id) ?? []);
}
