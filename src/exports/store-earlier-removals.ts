import type { EntityManager } from 'typeorm';
import { dialectOf, execute } from '../bulk-sql.js';
import type { Database } from '../database.js';
import { Standing } from '../entities/ledger.js';
import type { HashPerson } from '../security/person-hash.js';
import { listHashOf, MAX_REMOVALS, personHashOf, type StoredWindows } from './removals.js';

/** Entries that one step moves: some 50 ms. */
const STEP = 1_000;

/** A removal that a server of 0.1.0 noted in the ledger. */
interface EarlierRow {
  readonly ledgerId: number;
  readonly emailKey: string;
  readonly windows: string;
  readonly standing: Standing;
  readonly account: string;
  readonly listId: string;
}

/** A row of `removals`; see its entity. */
interface StoredRow {
  readonly listHash: string;
  readonly personHash: string;
  readonly windows: StoredWindows;
  readonly returned: boolean;
  /** RFC 3339. */
  readonly notedAt: string;
}

type RowAsRead = Omit<StoredRow, 'windows' | 'returned'> & { windows: string; returned: boolean | 0 | 1 };

/**
 * Moves the removals that 0.1.0 noted in ledgers to where they outlive the export. Each step is a transaction that stores
 * hashes and empties the entries, so a process that is killed leaves the rest to the next start, and several may do it at
 * once. When there are none, it costs one look at an empty index. Without the hash key they stay where they are.
 */
export async function storeEarlierRemovals({
  database,
  hashPerson,
}: {
  readonly database: Database;
  readonly hashPerson: HashPerson | undefined;
}): Promise<void> {
  if (hashPerson === undefined) return;
  while ((await readEarlier(database.reader, 1)).length > 0) {
    await database.transact(({ manager }) => storeSome(manager, hashPerson));
  }
}

function readEarlier(manager: EntityManager, limit: number): Promise<EarlierRow[]> {
  return manager.query<EarlierRow[]>(
    `SELECT "ledgerId", "emailKey", "removals" AS "windows", "standing", "account", "listId"
     FROM "ledger_entries" JOIN "ledgers" ON "ledgers"."id" = "ledgerId"
     WHERE "removals" IS NOT NULL ORDER BY "ledgerId", "emailKey" LIMIT ${limit}`,
  );
}

async function storeSome(manager: EntityManager, hashPerson: HashPerson): Promise<void> {
  const earlier = await readEarlier(manager, STEP);
  const rows = earlier.map((row) => storedRow(hashPerson, row));
  const known = await manager.query<RowAsRead[]>(
    `SELECT * FROM "removals" WHERE ("listHash", "personHash") IN
     (SELECT "listHash", "personHash" FROM ${tableOf(manager, { listHash: 'text', personHash: 'text' })})`,
    [JSON.stringify(rows.map(({ listHash, personHash }) => [listHash, personHash]))],
  );
  // Exports to one list may have removed the same contact; so may this server, while an older one was still at work.
  const merged = new Map<string, StoredRow>();
  for (const row of [...rows, ...known.map(parsed)]) {
    const other = merged.get(row.personHash);
    merged.set(row.personHash, other === undefined ? row : together(other, row));
  }
  const columns = {
    listHash: 'text',
    personHash: 'text',
    windows: 'text',
    returned: 'boolean',
    notedAt: 'text',
  } as const;
  const names = Object.keys(columns).map((column) => `"${column}"`);
  await execute(
    manager,
    `INSERT INTO "removals" (${names.join(', ')}) SELECT ${names.join(', ')} FROM ${tableOf(manager, columns)} WHERE TRUE
     ON CONFLICT ("listHash", "personHash") DO UPDATE SET
       ${names
         .slice(2)
         .map((name) => `${name} = excluded.${name}`)
         .join(', ')}`,
    [
      JSON.stringify(
        [...merged.values()].map(({ listHash, personHash, windows, returned, notedAt }) => [
          listHash,
          personHash,
          JSON.stringify(windows),
          returned,
          notedAt,
        ]),
      ),
    ],
  );
  await execute(
    manager,
    `UPDATE "ledger_entries" SET "removals" = NULL
     FROM ${dialectOf(manager).table('$1', { ledger: 'integer', key: 'text' })} AS "moved"
     WHERE "ledgerId" = "moved"."ledger" AND "emailKey" = "moved"."key"`,
    [JSON.stringify(earlier.map(({ ledgerId, emailKey }) => [ledgerId, emailKey]))],
  );
}

function tableOf(
  manager: EntityManager,
  columns: Parameters<ReturnType<typeof dialectOf>['table']>[1],
): string {
  return `${dialectOf(manager).table('$1', columns)} AS "rows"`;
}

function storedRow(hashPerson: HashPerson, { windows, standing, emailKey, ...place }: EarlierRow): StoredRow {
  const removals = JSON.parse(windows) as StoredWindows;
  return {
    listHash: listHashOf(hashPerson, place),
    personHash: personHashOf(hashPerson, place, emailKey),
    windows: removals,
    returned: standing !== Standing.REMOVED,
    // When it was noted stands nowhere; the window ended shortly before, by the destination's clock.
    notedAt: new Date(Math.max(0, ...removals.map(([, to]) => to))).toISOString(),
  };
}

function parsed({ windows, returned, ...row }: RowAsRead): StoredRow {
  return { ...row, windows: JSON.parse(windows) as StoredWindows, returned: Boolean(returned) };
}

function together(a: StoredRow, b: StoredRow): StoredRow {
  const windows = [...a.windows, ...b.windows].sort(([, end], [, otherEnd]) => end - otherEnd);
  return {
    ...a,
    windows: windows.slice(-MAX_REMOVALS),
    returned: a.returned && b.returned,
    notedAt: a.notedAt > b.notedAt ? a.notedAt : b.notedAt,
  };
}
