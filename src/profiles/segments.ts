import type { EntityManager } from 'typeorm';
import { changesBetween } from '../audit/changes.js';
import { record, type SignedInActor } from '../audit/record.js';
import type { Clock } from '../clock.js';
import { isUniqueViolation } from '../database-errors.js';
import type { Database } from '../database.js';
import { ExportSegment } from '../entities/export.js';
import { Segment, SegmentKind, SegmentSize, SegmentState } from '../entities/segment.js';
import { BadInputError, ConflictError, NotFoundError } from '../errors.js';
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
    await auditSegment(services, manager, actor, 'createSegment', null, segment);
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
    await manager.delete(SegmentSize, { segmentId: id });
    await auditSegment(services, manager, actor, 'removeSegment', segment, null);
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

/** Null: there is none. */
export async function findSegmentNamed({ database }: Reads, name: string): Promise<Segment | null> {
  return database.reader.findOneBy(Segment, { name });
}

/** How large the segment was whenever its members were given or evaluated, the latest first. */
export async function listSizes(
  { database }: Reads,
  segmentId: string,
  page: PageRequest,
): Promise<Page<SegmentSize>> {
  const query = database.reader.createQueryBuilder(SegmentSize, 'size');
  return readPage(query.where('size.segmentId = :segmentId', { segmentId }), page, 'DESC');
}

/** @throws {BadInputError} when a rule decides who belongs to the segment. */
export function refuseToFillDynamic(segment: Segment | null): void {
  if (segment?.kind !== SegmentKind.DYNAMIC) return;
  throw new BadInputError(
    'segment',
    `A rule decides who belongs to the segment "${segment.name}", so that no import can.`,
    'Import the profiles without segment=, or into a segment of another name.',
  );
}

/** A segment that has no members yet and is not stored. @param rule null: it is static. */
export function newSegment(name: string, clock: Clock, rule: Segment['rule'] = null): Segment {
  return Object.assign(new Segment(), {
    id: newId(),
    name,
    kind: rule === null ? SegmentKind.STATIC : SegmentKind.DYNAMIC,
    state: SegmentState.ACTIVE,
    rule,
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
    await auditSegment(services, manager, actor, action, before, after);
    return after;
  });
}

/** Writes down what was done to a segment. @param before null: it was made. @param after null: it was removed. */
export async function auditSegment(
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
    changes: changesBetween(before, after, ['name', 'kind', 'state', 'rule']),
  });
}

/** @throws {NotFoundError} */
export async function findSegment(manager: EntityManager, id: string): Promise<Segment> {
  const segment = await manager.findOneBy(Segment, { id });
  if (segment === null) throw new NotFoundError('segment');
  return segment;
}

/** @throws {ConflictError} when `write` finds the name taken. */
export async function refusingTakenNames<T>(name: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error: unknown) {
    if (!isUniqueViolation(error)) throw error;
    throw nameTaken(name);
  }
}

export function nameTaken(name: string): ConflictError {
  return new ConflictError(`There is a segment named "${name}" already.`, 'Choose another name.', 'name');
}
