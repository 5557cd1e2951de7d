import type { EntityManager } from 'typeorm';
import { execute, jsonArray, jsonItem, jsonList } from '../bulk-sql.js';
import type { Database } from '../database.js';
import type { Batch } from '../entities/batch.js';
import type { ExportRun } from '../entities/export-run.js';
import { Ledger } from '../entities/ledger.js';
import { filledFields, type WantedContact } from './mapping.js';

/** A contact of the ledger that a run still has to decide. */
export interface PlannedEntry {
  readonly emailKey: string;
  readonly profileId: string;
  readonly wanted: WantedContact;
  readonly everSent: number;
}

/** Entries that one statement changes at most. */
const STEP = 20_000;

interface PlannedRow {
  emailKey: string;
  profileId: string;
  wanted: string;
  everSent: number;
}

/** The ledger of an export at one list of one account, made when it is first needed. */
export async function ledgerOf(manager: EntityManager, run: ExportRun): Promise<Ledger> {
  const key = { exportId: run.exportId, account: run.account, listId: run.listId };
  return (await manager.findOneBy(Ledger, key)) ?? (await manager.save(Ledger, manager.create(Ledger, key)));
}

/** The entries after `afterKey` that the run still has to send, in key order. */
export async function plannedAfter(
  manager: EntityManager,
  run: ExportRun,
  afterKey: string,
  limit: number,
): Promise<PlannedEntry[]> {
  return readPlanned(manager, run, '"emailKey" > $3', [afterKey], limit);
}

/** The entries of a batch that are still to be decided, in key order. */
export async function plannedIn(
  manager: EntityManager,
  run: ExportRun,
  batch: Batch,
): Promise<PlannedEntry[]> {
  const range = [batch.fromKey, batch.toKey];
  return readPlanned(manager, run, '"emailKey" >= $3 AND "emailKey" <= $4', range, batch.contacts);
}

async function readPlanned(
  manager: EntityManager,
  run: ExportRun,
  where: string,
  keys: string[],
  limit: number,
): Promise<PlannedEntry[]> {
  const rows = await manager.query<PlannedRow[]>(
    `SELECT "emailKey", "profileId", "wanted", "everSent" FROM "ledger_entries"
     WHERE "ledgerId" = $1 AND "plannedRun" = $2 AND ${where} ORDER BY "emailKey" LIMIT ${limit}`,
    [run.ledgerId, run.number, ...keys],
  );
  return rows.map((row) => ({ ...row, wanted: JSON.parse(row.wanted) as WantedContact }));
}

/** How many entries the run has planned and not decided. */
export async function countPlanned(manager: EntityManager, run: ExportRun): Promise<number> {
  const [row] = await manager.query<[{ planned: number }]>(
    `SELECT COUNT(*) AS "planned" FROM "ledger_entries" WHERE "ledgerId" = $1 AND "plannedRun" = $2`,
    [run.ledgerId, run.number],
  );
  return row.planned;
}

/** The same within the keys from `from` up to, not including, `to`. */
export async function countPlannedIn(
  manager: EntityManager,
  run: ExportRun,
  { from, to }: { from: string; to: string | undefined },
): Promise<number> {
  const [row] = await manager.query<[{ planned: number }]>(
    `SELECT COUNT(*) AS "planned" FROM "ledger_entries" WHERE "ledgerId" = $1 AND "plannedRun" = $2
     AND "emailKey" >= $3 ${to === undefined ? '' : 'AND "emailKey" < $4'}`,
    [run.ledgerId, run.number, from, ...(to === undefined ? [] : [to])],
  );
  return row.planned;
}

const DELIVERED = '"ledger_entries"."delivered"';

/** The optional fields of a contact by their place in `wanted` and `delivered`; the first item is the address. */
const FIELDS = [1, 2, 3];

/**
 * An SQL condition on a ledger entry: the destination holds what the JSON in `wanted` asks for. A field that is not
 * mapped is not asked for. An address that differs by case alone is the same.
 */
export function isDelivered(wanted: string): string {
  const holds = FIELDS.map((field) => {
    const value = jsonItem(wanted, field);
    return `(${value} IS NULL OR ${value} = COALESCE(${jsonItem(DELIVERED, field)}, ''))`;
  });
  return [`${DELIVERED} IS NOT NULL AND NOT "ledger_entries"."doubtful"`, ...holds].join(' AND ');
}

/** What the destination holds once the wanted contact is confirmed: a field that was not sent is as it was. */
const DELIVERED_NOW = jsonArray([
  jsonItem('"wanted"', 0),
  ...FIELDS.map((field) => `COALESCE(${jsonItem('"wanted"', field)}, ${jsonItem('"delivered"', field)})`),
]);

/** Forgets that the run planned anybody, in steps of some 50 ms. */
export async function unplan(database: Database, run: ExportRun): Promise<void> {
  for (let left = STEP; left === STEP;) {
    left = await database.transact(({ manager }) =>
      execute(
        manager,
        `UPDATE "ledger_entries" SET "plannedRun" = NULL WHERE "ledgerId" = $1 AND "emailKey" IN
         (SELECT "emailKey" FROM "ledger_entries" WHERE "ledgerId" = $1 AND "plannedRun" = $2 LIMIT ${STEP})`,
        [run.ledgerId, run.number],
      ),
    );
  }
}

/**
 * Notes, with the intent, that what was delivered is in doubt from now on, and which optional fields go out non-empty: an
 * empty value must be sent for them later, so that the destination clears what it may hold.
 */
export async function noteSent(
  manager: EntityManager,
  run: ExportRun,
  entries: readonly PlannedEntry[],
): Promise<void> {
  const byMask = Map.groupBy(entries, ({ wanted }) => filledFields(wanted));
  for (const [mask, group] of byMask) {
    await execute(
      manager,
      `UPDATE "ledger_entries" SET "doubtful" = TRUE, "everSent" = "everSent" | $1
       WHERE "ledgerId" = $2 AND "emailKey" IN ${jsonList('$3')}`,
      [mask, run.ledgerId, JSON.stringify(group.map(({ emailKey }) => emailKey))],
    );
  }
}

/**
 * Decides the entries of a batch, or those of the keys given, that the run has not decided yet: delivered as wanted, or
 * not.
 * @returns how many there were.
 */
export async function decideEntries(
  manager: EntityManager,
  run: ExportRun,
  which: Batch | readonly string[],
  { delivered }: { delivered: boolean },
): Promise<number> {
  const [where, keys] =
    'fromKey' in which
      ? ['"emailKey" >= $3 AND "emailKey" <= $4', [which.fromKey, which.toKey]]
      : [`"emailKey" IN ${jsonList('$3')}`, [JSON.stringify(which)]];
  return execute(
    manager,
    `UPDATE "ledger_entries" SET "plannedRun" = NULL${delivered ? `, "delivered" = ${DELIVERED_NOW}, "doubtful" = FALSE` : ''}
     WHERE "ledgerId" = $1 AND "plannedRun" = $2 AND ${where}`,
    [run.ledgerId, run.number, ...keys],
  );
}

/**
 * Whether another run on the same list has one of these addresses in a batch under way. The importer works batches in
 * an order of its own: with two undecided ones for an address nobody could tell which values won, or whose failure was
 * reported. Only addresses in common wait: a small run is not held up by a big one with other people. CROSS JOIN keeps
 * SQLite to this order; by itself it looks every address up once for each batch under way.
 */
export async function isHeldByAnotherRun(
  manager: EntityManager,
  run: ExportRun,
  entries: readonly PlannedEntry[],
): Promise<boolean> {
  const [row] = await manager.query<[{ held: number }]>(
    `SELECT EXISTS (
       SELECT 1 FROM "export_runs" AS "other" CROSS JOIN "ledger_entries" AS "theirs" CROSS JOIN "batches"
       WHERE "other"."account" = $1 AND "other"."state" IN ('RUNNING', 'CANCELING')
         AND "other"."listId" = $2 AND "other"."id" <> $3
         AND "theirs"."ledgerId" = "other"."ledgerId" AND "theirs"."plannedRun" = "other"."number"
         AND "theirs"."emailKey" IN ${jsonList('$4')}
         AND "batches"."runId" = "other"."id" AND "batches"."state" IN ('SENDING', 'ACCEPTED')
         AND "batches"."fromKey" <= "theirs"."emailKey" AND "batches"."toKey" >= "theirs"."emailKey"
     ) AS "held"`,
    [run.account, run.listId, run.id, JSON.stringify(entries.map(({ emailKey }) => emailKey))],
  );
  return Boolean(row.held);
}
