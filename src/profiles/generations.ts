import type { EntityManager } from 'typeorm';
import { dialectOf } from '../bulk-sql.js';
import { instantOf, type Clock } from '../clock.js';
import type { Database } from '../database.js';
import { SegmentGeneration } from '../entities/segment.js';
import { describeError } from '../errors.js';
import { generationLane, NOTES_LANE } from '../lanes.js';
import type { Logger } from '../logger.js';

/**
 * The life of a generation, one complete set of a segment's members:
 *
 * filling     `segmentId` is null: an import or an evaluation writes it batch by batch, nobody reads it;
 * current     `Segment.generation` points at it, since one swap when it was whole (see swap.ts, evaluate-segment.ts);
 * superseded  it has a segment, but is not that segment's current one: removed, unless a run that is being prepared
 *             still reads it;
 * abandoned   still filling, and who filled it has died: with the only process, whatever a start finds; where there are
 *             others, what gave no sign of life for an hour. It is made nobody's, and so superseded, before it is removed:
 *             nobody makes half of it current.
 *
 * Removing goes in small steps, members first and the row last, so that it can be taken up again after a crash.
 */
export interface GenerationServices {
  readonly database: Database;
  /** The generations that some run still reads, as the transaction sees it. */
  readonly pinnedGenerations: (manager: EntityManager) => Promise<number[]>;
}

/** Members that one step removes: some 20 ms. */
const CHUNK = 20_000;

/** Makes a generation that nobody sees yet. */
export async function beginGeneration(services: { database: Database; clock: Clock }): Promise<number> {
  return services.database.transact(async ({ manager }) => {
    const generation = { segmentId: null, aliveAt: new Date(services.clock.now()) };
    const { id } = await manager.save(SegmentGeneration, generation);
    return id;
  }, NOTES_LANE);
}

/** @param ids a JSON array; those that are members already stay so. */
export async function addMembers(manager: EntityManager, generation: number, ids: string): Promise<void> {
  await manager.query(
    `INSERT INTO "segment_members" ("generation", "profileId")
     SELECT $1, value FROM ${dialectOf(manager).list('$2')} AS ids WHERE true ORDER BY value
     ON CONFLICT DO NOTHING`,
    [generation, ids],
  );
}

/**
 * Adds those of the ids that still are profiles: whoever was removed since they were read would be counted for ever.
 * @param ids a JSON array of ids that are no members yet.
 */
export async function addProfiles(manager: EntityManager, generation: number, ids: string): Promise<void> {
  await manager.query(
    `INSERT INTO "segment_members" ("generation", "profileId")
     SELECT $1, value FROM ${dialectOf(manager).list('$2')} AS ids
     WHERE EXISTS (SELECT 1 FROM "profiles" WHERE "id" = value) ORDER BY value`,
    [generation, ids],
  );
}

/** Takes over those of the ids that are members of the segment as it is now. */
export async function keepMembers(
  manager: EntityManager,
  segment: { name: string; generation: number },
  ids: readonly string[],
): Promise<void> {
  if (ids.length === 0) return;
  await manager.query(
    `INSERT INTO "segment_members" ("generation", "profileId")
     SELECT $1, "profileId" FROM "segment_members"
     WHERE "generation" = (SELECT "generation" FROM "segments" WHERE "name" = $2)
       AND "profileId" IN ${dialectOf(manager).list('$3')}
     ON CONFLICT DO NOTHING`,
    [segment.generation, segment.name, JSON.stringify(ids)],
  );
}

/** Removes what no segment points at any more and nobody reads. Safe at any time, also by two at once. */
export async function removeSupersededGenerations(services: GenerationServices): Promise<void> {
  // Who is superseded and not pinned stays so: new readers start from what is current.
  const superseded = await services.database.transact(async ({ manager }) => {
    const pinned = await services.pinnedGenerations(manager);
    return manager.query<{ id: number }[]>(
      `SELECT "id" FROM "segment_generations"
       WHERE "segmentId" IS NOT NULL
         AND "id" NOT IN (SELECT "generation" FROM "segments" WHERE "generation" IS NOT NULL)
         AND "id" NOT IN ${dialectOf(manager).list('$1', 'integer')}`,
      [JSON.stringify(pinned)],
    );
  });
  for (const { id } of superseded) await removeGeneration(services.database, id);
}

/** For the start of the only process, before its first import: removes what the last process left behind. */
export async function removeAbandonedGenerations(services: GenerationServices): Promise<void> {
  const abandoned = await services.database.reader.find(SegmentGeneration);
  for (const { id, segmentId } of abandoned) {
    if (segmentId === null) await removeGeneration(services.database, id);
  }
  await removeSupersededGenerations(services);
}

const SIGN_OF_LIFE_MS = 10 * 60_000;
const HOUR_MS = 60 * 60_000;
/** The segment of a generation that was given up: it is no segment's id. */
const NOBODYS = '';

/** Shows, until the signal aborts, that somebody fills the generation: a body may come as slowly as it likes. */
export async function keepAlive(
  {
    database,
    clock,
    logger,
  }: { readonly database: Database; readonly clock: Clock; readonly logger: Logger },
  generation: number,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    try {
      await clock.sleep(SIGN_OF_LIFE_MS, signal);
    } catch (error: unknown) {
      if (!signal.aborted) throw error;
      return;
    }
    const aliveAt = new Date(clock.now());
    await database
      .transact(
        ({ manager }) => manager.update(SegmentGeneration, generation, { aliveAt }),
        generationLane(generation),
      )
      .catch((error: unknown) => {
        logger.warn({ reason: describeError(error) }, 'a segment that is being filled could not say so');
      });
  }
}

/** For where other processes may be filling generations: removes those whose filler has died. */
export function createSweep(services: GenerationServices & { readonly clock: Clock }): () => Promise<void> {
  const { database, clock } = services;
  let last = instantOf(clock);
  return async () => {
    const present = instantOf(clock);
    const passedMs = present.monotonicMs - last.monotonicMs;
    // By how much the wall clock was set forward since the last look, or the machine was suspended: in that time nobody
    // could give a sign of life.
    const skippedMs = Math.max(0, present.wallMs - last.wallMs - passedMs);
    last = present;
    const before = new Date(present.wallMs - HOUR_MS - skippedMs).toISOString();
    await database.transact(({ manager }) =>
      manager.query(
        'UPDATE "segment_generations" SET "segmentId" = $1 WHERE "segmentId" IS NULL AND "createdAt" < $2',
        [NOBODYS, before],
      ),
    );
    await removeSupersededGenerations(services);
  };
}

/** Removes one generation that nobody reads or fills. */
export async function removeGeneration(database: Database, generation: number): Promise<void> {
  let finished = false;
  while (!finished) {
    finished = await database.transact(async ({ manager }) => {
      const [beyond] = await manager.query<{ profileId: string }[]>(
        `SELECT "profileId" FROM "segment_members" WHERE "generation" = $1
         ORDER BY "profileId" LIMIT 1 OFFSET ${CHUNK}`,
        [generation],
      );
      await manager.query(
        `DELETE FROM "segment_members" WHERE "generation" = $1 ${beyond ? 'AND "profileId" < $2' : ''}`,
        beyond ? [generation, beyond.profileId] : [generation],
      );
      if (beyond === undefined) await manager.delete(SegmentGeneration, generation);
      return beyond === undefined;
    }, generationLane(generation));
  }
}
