import { setImmediate } from 'node:timers/promises';
import type { EntityManager } from 'typeorm';
import { dialectOf, execute } from '../bulk-sql.js';
import type { Clock } from '../clock.js';
import type { Database, Scanner } from '../database.js';
import type { HashPerson } from '../security/person-hash.js';
import type { RemovalWindow } from './ledger.js';

/*
 * Whom Sluice took off which list, and when. This is kept apart from the ledgers, so that it outlives the export that did
 * it: another export may want these people later, and then the destination's record has to be told from an opt-out (see
 * check-people.ts). Whoever is not in here unsubscribed by choice.
 *
 * Rows are found by a keyed hash. A process that cannot open the hash key notes and recognizes nothing: unsubscribes then
 * count as the person's choice.
 */

/** What removals need of the server. */
export interface RemovalServices {
  readonly clock: Clock;
  /** Undefined: the hash key cannot be opened. */
  readonly hashPerson: HashPerson | undefined;
}

/** A list of an account. */
export interface ListPlace {
  readonly account: string;
  readonly listId: string;
}

/** Removals that are remembered of a contact, the latest. */
export const MAX_REMOVALS = 5;
/** Hashes that are worked out without a pause: some 5 ms. */
const AT_ONCE = 1_000;
/** Two lists of an installation do not share these 96 bits. */
const LIST_HASH_CHARACTERS = 16;
/** Rows that one step removes: some 50 ms. */
const CHUNK = 10_000;
const DAY_MS = 24 * 60 * 60_000;

/** Windows as they are stored. */
export type StoredWindows = [from: number, to: number][];

export function listHashOf(hashPerson: HashPerson, { account, listId }: ListPlace): string {
  return hashPerson('list', account, listId).slice(0, LIST_HASH_CHARACTERS);
}

export function personHashOf(
  hashPerson: HashPerson,
  { account, listId }: ListPlace,
  emailKey: string,
): string {
  return hashPerson('removal', account, listId, emailKey);
}

/** Notes that these contacts were taken off the list, beside what is known of earlier removals. */
export async function rememberRemoval(
  { clock, hashPerson }: RemovalServices,
  manager: EntityManager,
  place: ListPlace,
  emailKeys: readonly string[],
  added: readonly RemovalWindow[],
): Promise<void> {
  if (hashPerson === undefined || emailKeys.length === 0) return;
  const listHash = listHashOf(hashPerson, place);
  const persons = emailKeys.map((emailKey) => personHashOf(hashPerson, place, emailKey));
  const known = await manager.query<{ personHash: string; windows: string }[]>(
    `SELECT "personHash", "windows" FROM "removals"
     WHERE "listHash" = $1 AND "personHash" IN ${dialectOf(manager).list('$2')}`,
    [listHash, JSON.stringify(persons)],
  );
  const next = added.map(({ from, to }): StoredWindows[number] => [from, to]);
  const before = new Map(known.map(({ personHash, windows }) => [personHash, windows]));
  const rows = persons.map((personHash) => {
    const windows = JSON.parse(before.get(personHash) ?? '[]') as StoredWindows;
    return [personHash, JSON.stringify([...windows, ...next].slice(-MAX_REMOVALS))];
  });
  await execute(
    manager,
    `INSERT INTO "removals" ("listHash", "personHash", "windows", "returned", "notedAt")
     SELECT $1, "personHash", "windows", FALSE, $2
     FROM ${dialectOf(manager).table('$3', { personHash: 'text', windows: 'text' })} AS "rows" WHERE TRUE
     ON CONFLICT ("listHash", "personHash") DO UPDATE SET
       "windows" = excluded."windows", "returned" = FALSE, "notedAt" = excluded."notedAt"`,
    [listHash, new Date(clock.now()).toISOString(), JSON.stringify(rows)],
  );
}

/** Notes that the destination has confirmed these contacts on the list: newcomers need not be looked up for them. */
export async function rememberReturn(
  { hashPerson }: RemovalServices,
  manager: EntityManager,
  place: ListPlace,
  emailKeys: readonly string[],
): Promise<void> {
  if (hashPerson === undefined || emailKeys.length === 0) return;
  await execute(
    manager,
    `UPDATE "removals" SET "returned" = TRUE
     WHERE "listHash" = $1 AND "personHash" IN ${dialectOf(manager).list('$2')}`,
    [
      listHashOf(hashPerson, place),
      JSON.stringify(emailKeys.map((emailKey) => personHashOf(hashPerson, place, emailKey))),
    ],
  );
}

/** When the contact was taken off the list, by whatever export. */
export async function removalsOf(
  { hashPerson }: RemovalServices,
  manager: Scanner,
  place: ListPlace,
  emailKey: string,
): Promise<RemovalWindow[]> {
  // What servers of 0.1.0 noted, which may run beside this one during an upgrade, and nobody has moved yet.
  const rows = await manager.query<{ windows: string }[]>(
    `SELECT "removals" AS "windows" FROM "ledger_entries" JOIN "ledgers" ON "ledgers"."id" = "ledgerId"
     WHERE "account" = $1 AND "listId" = $2 AND "emailKey" = $3 AND "removals" IS NOT NULL`,
    [place.account, place.listId, emailKey],
  );
  if (hashPerson !== undefined) {
    const kept = await manager.query<{ windows: string }[]>(
      'SELECT "windows" FROM "removals" WHERE "listHash" = $1 AND "personHash" = $2',
      [listHashOf(hashPerson, place), personHashOf(hashPerson, place, emailKey)],
    );
    rows.push(...kept);
  }
  return rows.flatMap(({ windows }) =>
    (JSON.parse(windows) as StoredWindows).map(([from, to]) => ({ from, to })),
  );
}

/** Who of these is off the list by a removal of ours, as far as that is remembered. */
export type FindRemoved = (emailKeys: readonly string[]) => Promise<string[]>;

/**
 * Recognizes newcomers whom an export took off the list that may be gone by now.
 * @returns undefined where nobody can be: a first run of a million newcomers then works out no hash.
 */
export async function findRemovedFrom(
  { hashPerson }: RemovalServices,
  scanner: Scanner,
  place: ListPlace,
): Promise<FindRemoved | undefined> {
  if (hashPerson === undefined) return undefined;
  const listHash = listHashOf(hashPerson, place);
  const removed = '"listHash" = $1 AND "returned" = FALSE';
  const anybody = await scanner.query<unknown[]>(`SELECT 1 FROM "removals" WHERE ${removed} LIMIT 1`, [
    listHash,
  ]);
  if (anybody.length === 0) return undefined;
  return async (emailKeys) => {
    const byHash = new Map<string, string>();
    for (const [index, emailKey] of emailKeys.entries()) {
      if (index > 0 && index % AT_ONCE === 0) await setImmediate();
      byHash.set(personHashOf(hashPerson, place, emailKey), emailKey);
    }
    const rows = await scanner.query<{ personHash: string }[]>(
      `SELECT "personHash" FROM "removals"
       WHERE ${removed} AND "personHash" IN ${dialectOf(scanner).list('$2')}`,
      [listHash, JSON.stringify([...byHash.keys()])],
    );
    return rows.flatMap(({ personHash }) => byHash.get(personHash) ?? []);
  };
}

/** Removes what was noted longer ago than so many days: an unsubscribe of then counts as the person's choice from now on. */
export async function forgetOldRemovals(
  { database, clock }: { readonly database: Database; readonly clock: Clock },
  retentionDays: number,
): Promise<void> {
  const before = new Date(clock.now() - retentionDays * DAY_MS).toISOString();
  for (let removed = CHUNK; removed === CHUNK;) {
    removed = await database.transact(({ manager }) =>
      execute(
        manager,
        `DELETE FROM "removals" WHERE ("listHash", "personHash") IN
         (SELECT "listHash", "personHash" FROM "removals" WHERE "notedAt" < $1 ORDER BY "notedAt" LIMIT ${CHUNK})`,
        [before],
      ),
    );
  }
}
