import type { EntityManager } from 'typeorm';
import { changesBetween } from '../audit/changes.js';
import { record, type SignedInActor } from '../audit/record.js';
import type { Clock } from '../clock.js';
import { isUniqueViolation, type Database } from '../database.js';
import { ExportSegment } from '../entities/export.js';
import { Segment, SegmentKind, SegmentState } from '../entities/segment.js';
import { ConflictError, NotFoundError } from '../errors.js';
import { newId } from '../ids.js';
import { parseName } from '../names.js';
import { readPage, type Page, type PageRequest } from '../page.js';
import { removeSupersededGenerations, type GenerationServices } from './generations.js';

interface SegmentServices {
  readonly database: Database;
  readonly clock: Clock;
}

type Reads = Pick<SegmentServices, 'database'>;

/**
 * Makes a static segment without members; an import gives it some.
 * @throws {ConflictError} when the name is taken.
 */
export async function createSegment(
  services: SegmentServices,
  actor: SignedInActor,
  input: { name: string },
): Promise<Segment> {
  const segment = newSegment(parseName('name', input.name), services.clock);
  await services.database.transact(async ({ manager }) => {
    await refusingTakenNames(segment.name, () => manager.insert(Segment, segment));
    await writeDown(services, manager, actor, 'createSegment', null, segment);
  });
  return segment;
}

/**
 * Renames the segment when a name is given.
 * @throws {ConflictError} when the name is taken.
 */
export async function updateSegment(
  services: SegmentServices,
  actor: SignedInActor,
  id: string,
  input: { name?: string | null },
): Promise<Segment> {
  const name = input.name === undefined || input.name === null ? undefined : parseName('name', input.name);
  return change(services, actor, 'updateSegment', id, async (manager) => {
    if (name !== undefined) await refusingTakenNames(name, () => manager.update(Segment, id, { name }));
  });
}

/** Exports pass over inactive segments. */
export async function setSegmentState(
  services: SegmentServices,
  actor: SignedInActor,
  id: string,
  state: SegmentState,
): Promise<Segment> {
  return change(services, actor, 'setSegmentState', id, (manager) => manager.update(Segment, id, { state }));
}

/**
 * Removes the segment; its profiles stay.
 * @throws {ConflictError} while an export uses it.
 */
export async function removeSegment(
  services: SegmentServices & GenerationServices,
  actor: SignedInActor,
  id: string,
): Promise<boolean> {
  await services.database.transact(async ({ manager }) => {
    const segment = await findSegment(manager, id);
    const uses = await manager.countBy(ExportSegment, { segmentId: id });
    if (uses > 0) {
      throw new ConflictError(
        `${uses === 1 ? 'An export uses' : `${uses} exports use`} this segment.`,
        'Take the segment out of the exports, or remove them, and try again.',
        'id',
      );
    }
    await manager.delete(Segment, id);
    await writeDown(services, manager, actor, 'removeSegment', segment, null);
  });
  await removeSupersededGenerations(services);
  return true;
}

/** @throws {NotFoundError} */
export async function getSegment({ database }: Reads, id: string): Promise<Segment> {
  return findSegment(database.reader, id);
}

/** The oldest first. */
export async function listSegments({ database }: Reads, page: PageRequest): Promise<Page<Segment>> {
  return readPage(database.reader.createQueryBuilder(Segment, 'segment'), page, 'ASC');
}

/** A segment that has no members yet and is not stored. */
export function newSegment(name: string, clock: Clock): Segment {
  return Object.assign(new Segment(), {
    id: newId(),
    name,
    kind: SegmentKind.STATIC,
    state: SegmentState.ACTIVE,
    memberCount: 0,
    generation: null,
    evaluatedAt: null,
    createdAt: new Date(clock.now()),
  });
}

async function change(
  services: SegmentServices,
  actor: SignedInActor,
  action: string,
  id: string,
  write: (manager: EntityManager) => Promise<unknown>,
): Promise<Segment> {
  return services.database.transact(async ({ manager }) => {
    const before = await findSegment(manager, id);
    await write(manager);
    const after = await findSegment(manager, id);
    await writeDown(services, manager, actor, action, before, after);
    return after;
  });
}

async function writeDown(
  { clock }: Pick<SegmentServices, 'clock'>,
  manager: EntityManager,
  actor: SignedInActor,
  action: string,
  before: Segment | null,
  after: Segment | null,
): Promise<void> {
  await record(manager, {
    at: new Date(clock.now()),
    actor,
    action,
    subjectType: 'Segment',
    subjectId: (after ?? before)?.id ?? '',
    changes: changesBetween(before, after, ['name', 'kind', 'state']),
  });
}

async function findSegment(manager: EntityManager, id: string): Promise<Segment> {
  const segment = await manager.findOneBy(Segment, { id });
  if (segment === null) throw new NotFoundError('segment');
  return segment;
}

async function refusingTakenNames<T>(name: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error: unknown) {
    if (!isUniqueViolation(error)) throw error;
    throw new ConflictError(`There is a segment named "${name}" already.`, 'Choose another name.', 'name');
  }
}
