import type { EntityManager } from 'typeorm';
import type { Clock } from '../clock.js';
import type { Database } from '../database.js';
import { PROFILES_LANE } from '../lanes.js';
import { Segment } from '../entities/segment.js';
import { adoptGeneration } from './adopt-generation.js';
import { newSegment, refuseToFillDynamic } from './segments.js';

/** Members that one statement compares: some 20 ms. */
const CHUNK = 20_000;

interface SwapServices {
  readonly database: Database;
  readonly clock: Clock;
}

/**
 * Makes a filled generation the members of the segment, all at once; the segment is made if there is none of that name.
 * When two imports do this, the later one wins.
 * @param options.keepsMembers whether everybody who is a member now stays one.
 * @throws {BadInputError} when a rule decides who belongs to the segment; the reason of `options.signal`.
 * @returns how many members left the segment by it.
 */
export async function swapGeneration(
  services: SwapServices,
  filled: { name: string; generation: number },
  { keepsMembers = false, signal }: { keepsMembers?: boolean; signal?: AbortSignal | undefined } = {},
): Promise<number> {
  const { database, clock } = services;
  for (;;) {
    // Comparing a million members takes a second, too long for a transaction. So it is done before, and done again when
    // somebody else has swapped meanwhile.
    const compared = (await generationOf(database.reader, filled.name)) ?? null;
    if (keepsMembers && compared !== null) await copyMembers(database, compared, filled.generation);
    const left = await countLeft(database.reader, compared, filled.generation);
    const swapped = await database.transact(async ({ manager }) => {
      signal?.throwIfAborted();
      const segment = await manager.findOneBy(Segment, { name: filled.name });
      refuseToFillDynamic(segment);
      if ((segment?.generation ?? null) !== compared) return false;
      const { id } = segment ?? (await manager.save(Segment, newSegment(filled.name, clock)));
      await adoptGeneration(manager, id, { generation: filled.generation, at: new Date(clock.now()) });
      return true;
    });
    if (swapped) return left;
  }
}

async function generationOf(manager: EntityManager, name: string): Promise<number | null | undefined> {
  return (await manager.findOneBy(Segment, { name }))?.generation;
}

/** Makes the members of one generation members of another, in steps. */
async function copyMembers(database: Database, from: number, to: number): Promise<void> {
  for (let last: string | null = ''; last !== null;) {
    const after: string = last;
    last = await database.transact(async ({ manager }) => {
      const [end] = await manager.query<{ profileId: string }[]>(
        `SELECT "profileId" FROM "segment_members" WHERE "generation" = $1 AND "profileId" > $2
         ORDER BY "profileId" LIMIT 1 OFFSET ${CHUNK - 1}`,
        [from, after],
      );
      await manager.query(
        `INSERT INTO "segment_members" ("generation", "profileId")
         SELECT $1, "profileId" FROM "segment_members"
         WHERE "generation" = $2 AND "profileId" > $3 ${end ? 'AND "profileId" <= $4' : ''}
         ON CONFLICT DO NOTHING`,
        [to, from, after, ...(end ? [end.profileId] : [])],
      );
      return end?.profileId ?? null;
    }, PROFILES_LANE);
  }
}

/** Counts the members of `before` that are none of `after`. */
async function countLeft(reader: EntityManager, before: number | null, after: number): Promise<number> {
  let left = 0;
  let last: string | null = before === null ? null : '';
  while (last !== null) {
    const [page]: { members: number; stayed: number; last: string | null }[] = await reader.query(
      `SELECT COUNT(*) AS "members", COUNT(kept."profileId") AS "stayed", MAX(old."profileId") AS "last"
       FROM (SELECT "profileId" FROM "segment_members" WHERE "generation" = $1 AND "profileId" > $2
             ORDER BY "profileId" LIMIT ${CHUNK}) AS old
       LEFT JOIN "segment_members" AS kept
         ON kept."generation" = $3 AND kept."profileId" = old."profileId"`,
      [before, last, after],
    );
    left += (page?.members ?? 0) - (page?.stayed ?? 0);
    last = page?.last ?? null;
  }
  return left;
}
