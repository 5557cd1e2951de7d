import { dialectOf } from '../bulk-sql.js';
import type { Scanner } from '../database.js';
import { Profile, type Attributes } from '../entities/profile.js';

/** Members that one statement counts: some 20 ms. */
const COUNTED_AT_ONCE = 20_000;

/**
 * The profiles of the union of some generations, page by page, by id in the order of UTF-8 bytes, each once. A page is
 * one short statement, whatever the size of the segments; generations never change once they are complete, so the pages
 * fit together although each sees the database at its own moment. A member whose profile was removed is passed over.
 */
export async function* memberPages(
  scanner: Scanner,
  generations: readonly number[],
  pageSize: number,
): AsyncGenerator<Profile[]> {
  if (generations.length === 0) return;
  // One text with all profiles of the page: made into rows and columns by the driver, it would take twice as long.
  const sql = `SELECT COUNT(*) AS "members", MAX("id") AS "last",
      ${dialectOf(scanner).rows(['"id"', { json: '"attributes"' }], '"id"')} AS "profiles"
    FROM (
      SELECT members."profileId" AS "id", profiles."attributes" AS "attributes"
      FROM (${pageOfMembers(generations, pageSize)}) AS members
      LEFT JOIN "profiles" AS profiles ON profiles."id" = members."profileId") AS page`;
  const readAfter = (last: string) => scanner.query<[MemberPage]>(sql, [last]);
  let next: Promise<[MemberPage]> | undefined = readAfter('');
  while (next !== undefined) {
    const [page]: [MemberPage] = await next;
    // The database reads the next page while this one is worked on.
    next = page.last === null || page.members < pageSize ? undefined : readAfter(page.last);
    // It may fail when nobody waits for it any more; whoever does will hear of it.
    next?.catch(() => undefined);
    const profiles = (JSON.parse(page.profiles) as [string, Attributes | null][]).flatMap(
      ([id, attributes]) => (attributes === null ? [] : profileOf(id, attributes)),
    );
    if (profiles.length > 0) yield profiles;
  }
}

interface MemberPage {
  readonly members: number;
  readonly last: string | null;
  /** JSON: `[[id, attributes], …]`; the attributes of somebody without a profile are null. */
  readonly profiles: string;
}

function profileOf(id: string, attributes: Attributes): Profile {
  const profile = new Profile();
  profile.id = id;
  profile.attributes = attributes;
  return profile;
}

/** How many profiles the union of the generations has. */
export async function countMembers(scanner: Scanner, generations: readonly number[]): Promise<number> {
  if (generations.length === 0) return 0;
  const sql = `SELECT COUNT(*) AS "members", MAX("profileId") AS "last"
    FROM (${pageOfMembers(generations, COUNTED_AT_ONCE)}) AS members`;
  let count = 0;
  let last: string | null = '';
  while (last !== null) {
    const [page]: { members: number; last: string | null }[] = await scanner.query(sql, [last]);
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
      WHERE "generation" = ${generation} AND "profileId" > $1 ORDER BY "profileId" LIMIT ${pageSize}) AS "part${generation}"`,
  );
  return `${parts.join(' UNION ')} ORDER BY "profileId" LIMIT ${pageSize}`;
}
