import type { EntityManager } from 'typeorm';
import type { Clock } from '../clock.js';
import { isUniqueViolation, type Database } from '../database.js';
import { ExportSegment } from '../entities/export.js';
import { Segment, SegmentKind, SegmentSize, SegmentState } from '../entities/segment.js';
import { BadInputError, ConflictError, NotFoundError } from '../errors.js';
import { newId } from '../ids.js';
import { readPage, type Page, type PageRequest } from '../page.js';
import { removeSupersededGenerations, type GenerationServices } from './generations.js';
import { problemOfName } from './rules.js';

interface SegmentServices {
  readonly database: Database;
  readonly clock: Clock;
}

type Reads = Pick<SegmentServices, 'database'>;

/**
 * Makes a static segment without members; an import gives it some.
 * @throws {ConflictError} when the name is taken.
 */
export async function createSegment(services: SegmentServices, input: { name: string }): Promise<Segment> {
  const segment = newSegment(readSegmentName(input.name, 'name'), services.clock);
  await services.database.transact(({ manager }) =>
    refusingTakenNames(segment.name, () => manager.insert(Segment, segment)),
  );
  return segment;
}

/**
 * Renames the segment when a name is given.
 * @throws {ConflictError} when the name is taken.
 */
export async function updateSegment(
  services: Reads,
  id: string,
  input: { name?: string | null },
): Promise<Segment> {
  if (input.name === undefined || input.name === null) return getSegment(services, id);
  const name = readSegmentName(input.name, 'name');
  return change(services, id, (manager) =>
    refusingTakenNames(name, () => manager.update(Segment, id, { name })),
  );
}

/** Exports pass over inactive segments. */
export async function setSegmentState(services: Reads, id: string, state: SegmentState): Promise<Segment> {
  return change(services, id, (manager) => manager.update(Segment, id, { state }));
}

/**
 * Removes the segment; its profiles stay.
 * @throws {ConflictError} while an export uses it.
 */
export async function removeSegment(services: GenerationServices, id: string): Promise<boolean> {
  await services.database.transact(async ({ manager }) => {
    await findSegment(manager, id);
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

/** @throws {BadInputError} for a name that is empty, too long or has control characters. */
export function readSegmentName(name: string, field: string): string {
  const trimmed = name.trim();
  const problem = problemOfName(trimmed);
  if (problem !== undefined) {
    throw new BadInputError(
      field,
      `The segment's name cannot be used: ${problem}.`,
      'Choose a name of 1 to 200 characters.',
    );
  }
  return trimmed;
}

async function change(
  { database }: Reads,
  id: string,
  write: (manager: EntityManager) => Promise<unknown>,
): Promise<Segment> {
  return database.transact(async ({ manager }) => {
    await findSegment(manager, id);
    await write(manager);
    return findSegment(manager, id);
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
