import { dialectOf } from '../bulk-sql.js';
import type { Scanner } from '../database.js';
import type { Attributes } from '../entities/profile.js';

/** Id and attributes. */
export type ProfileRow = readonly [id: string, attributes: Attributes];

interface ProfilePage {
  readonly profiles: string;
  readonly count: number;
  readonly last: string | null;
}

/**
 * All profiles, page by page, by id in the order of UTF-8 bytes. Each page sees the database at its own moment: who is
 * changed, made or removed meanwhile is seen as they were when their page was read.
 */
export async function* profilePages(reader: Scanner, pageSize: number): AsyncGenerator<ProfileRow[]> {
  // One text with all profiles of the page: made into rows and columns by the driver, it would take twice as long.
  const sql = `SELECT COUNT(*) AS "count", MAX("id") AS "last",
      ${dialectOf(reader).rows(['"id"', { json: '"attributes"' }], '"id"')} AS "profiles"
    FROM (SELECT "id", "attributes" FROM "profiles" WHERE "id" > $1 ORDER BY "id" LIMIT ${pageSize}) AS page`;
  const readAfter = (last: string) => reader.query<[ProfilePage]>(sql, [last]);
  let next: Promise<[ProfilePage]> | undefined = readAfter('');
  while (next !== undefined) {
    const [page]: [ProfilePage] = await next;
    // The database reads the next page while this one is worked on.
    next = page.last === null || page.count < pageSize ? undefined : readAfter(page.last);
    // It may fail when nobody waits for it any more; whoever does will hear of it.
    next?.catch(() => undefined);
    if (page.count > 0) yield JSON.parse(page.profiles) as ProfileRow[];
  }
}
