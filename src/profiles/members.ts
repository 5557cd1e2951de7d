import type { EntityManager } from 'typeorm';
import { Profile, type Attributes } from '../entities/profile.js';

/** Members that one statement counts: some 20 ms. */
const COUNTED_AT_ONCE = 20_000;

/**
 * The profiles of the union of some generations, page by page, by id in the order of UTF-8 bytes, each once. A page is
 * one short statement, whatever the size of the segments; generations never change once they are complete, so the pages
 * fit together although each sees the database at its own moment. A member whose profile was removed is passed over.
 */
export async function* memberPages(
  reader: EntityManager,
  generations: readonly number[],
  pageSize: number,
): AsyncGenerator<Profile[]> {
  if (generations.length === 0) return;
  const sql = `SELECT members."profileId" AS "id", profiles."attributes"
    FROM (${pageOfMembers(generations, pageSize)}) AS members
    LEFT JOIN "profiles" AS profiles ON profiles."id" = members."profileId"
    ORDER BY members."profileId"`;
  const readAfter = (last: string) => reader.query<MemberRow[]>(sql, [last]);
  let next: Promise<MemberRow[]> | undefined = readAfter('');
  while (next !== undefined) {
    const rows: MemberRow[] = await next;
    const last = rows.at(-1);
    // SQLite reads the next page in its own thread while this one is worked on.
    next = last === undefined || rows.length < pageSize ? undefined : readAfter(last.id);
    // It may fail when nobody waits for it any more; whoever does will hear of it.
    next?.catch(() => undefined);
    const profiles = rows.flatMap(({ id, attributes }) =>
      attributes === null ? [] : [profileOf(id, attributes)],
    );
    if (profiles.length > 0) yield profiles;
  }
}

interface MemberRow {
  readonly id: string;
  /** Null when the profile was removed. */
  readonly attributes: string | null;
}

function profileOf(id: string, attributes: string): Profile {
  const profile = new Profile();
  profile.id = id;
  profile.attributes = JSON.parse(attributes) as Attributes;
  return profile;
}

/** How many profiles the union of the generations has. */
export async function countMembers(reader: EntityManager, generations: readonly number[]): Promise<number> {
  if (generations.length === 0) return 0;
  const sql = `SELECT COUNT(*) AS "members", MAX("profileId") AS "last"
    FROM (${pageOfMembers(generations, COUNTED_AT_ONCE)}) AS members`;
  let count = 0;
  let last: string | null = '';
  while (last !== null) {
    const [page]: { members: number; last: string | null }[] = await reader.query(sql, [last]);
    count += page?.members ?? 0;
    last = page?.last ?? null;
  }
  return count;
}

/**
 * The next members behind `$1`. Each generation gives at most a page, in the order of its key, before the union sorts
 * them: without that limit each page would sort all that is left.
 */
function pageOfMembers(generations: readonly number[], pageSize: number): string {
  const parts = generations.map(
    (generation) => `SELECT * FROM (SELECT "profileId" FROM "segment_members"
      WHERE "generation" = ${generation} AND "profileId" > $1 ORDER BY "profileId" LIMIT ${pageSize})`,
  );
  return `${parts.join(' UNION ')} ORDER BY "profileId" LIMIT ${pageSize}`;
}
