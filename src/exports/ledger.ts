import type { EntityManager } from 'typeorm';
import { dialectOf, execute } from '../bulk-sql.js';
import type { Scanner } from '../database.js';
import type { ExportRun } from '../entities/export-run.js';
import type { DestinationList, LeaverPolicy } from '../entities/export.js';
import { AS_WANTED, Ledger, LedgerTask, Standing } from '../entities/ledger.js';
import type { NextEntry } from './differences.js';
import { RejectionReason } from '../entities/rejection.js';
import { transactAs, type Tenant } from './fence.js';

/** A ledger, and the ones of other exports to the same list of the same account. */
export interface LedgerPlace {
  /** Null: nothing was ever sent. */
  readonly ledgerId: number | null;
  readonly neighbours: readonly Neighbour[];
}

export interface Neighbour {
  readonly ledgerId: number;
  readonly exportId: string;
  /** Its export still sends to this list. */
  readonly attached: boolean;
  readonly policy: LeaverPolicy;
}

/** When a removal may have taken effect, in ms since 1970 by the destination's clock. */
export interface RemovalWindow {
  readonly from: number;
  readonly to: number;
}

/** Entries that one statement changes at most. */
const STEP = 20_000;

/** The ledger of an export at one list of one account, made when it is first needed. */
export async function ledgerOf(manager: EntityManager, run: ExportRun): Promise<Ledger> {
  const key = { exportId: run.exportId, account: run.account, listId: run.listId };
  return (await manager.findOneBy(Ledger, key)) ?? (await manager.save(Ledger, manager.create(Ledger, key)));
}

/**
 * The ledger of an export's list, if there is one, with those of the other exports to the same list: one statement,
 * however many there are. A ledger whose export was removed is no neighbour.
 */
export async function placeOf(
  manager: EntityManager,
  { exportId, account, listId }: Pick<ExportRun, 'exportId' | 'account' | 'listId'>,
): Promise<LedgerPlace> {
  const rows = await manager.query<PlaceRow[]>(
    `SELECT "ledgers"."id" AS "ledgerId", "ledgers"."exportId", "export"."id" AS "present",
       "export"."connectionId", "export"."account", "export"."list", "export"."leavers" AS "policy"
     FROM "ledgers" LEFT JOIN "exports" AS "export" ON "export"."id" = "ledgers"."exportId"
     WHERE "ledgers"."account" = $1 AND "ledgers"."listId" = $2 ORDER BY "ledgers"."id"`,
    [account, listId],
  );
  const isHere = (row: PlaceRow) => row.account === account && listIdOf(row) === listId;
  return {
    ledgerId: rows.find((row) => row.exportId === exportId)?.ledgerId ?? null,
    neighbours: rows
      .filter((row) => row.exportId !== exportId && row.present !== null)
      .map((row) => ({
        ledgerId: row.ledgerId,
        exportId: row.exportId,
        attached: row.connectionId !== null && isHere(row),
        policy: row.policy,
      })),
  };
}

/** A ledger with its export as it is now; null: there is none any more. */
interface PlaceRow {
  readonly ledgerId: number;
  readonly exportId: string;
  readonly present: string | null;
  readonly connectionId: string | null;
  readonly account: string | null;
  /** A DestinationList as JSON. */
  readonly list: string;
  readonly policy: LeaverPolicy;
}

function listIdOf({ list }: PlaceRow): string {
  return (JSON.parse(list) as DestinationList).id;
}

/**
 * Writes entries, in key order. Mostly they are alike but for the person, and a value that is the same for all is taken
 * into the statement once: of what each row brings, every column costs SQLite about a microsecond.
 */
export async function writeEntries(
  manager: EntityManager,
  run: ExportRun,
  entries: readonly NextEntry[],
): Promise<void> {
  for (const alike of Map.groupBy(entries, stateOf).values()) await writeAlike(manager, run, alike);
}

const OWN_TYPES = { emailKey: 'text', profileId: 'text', wanted: 'text', filled: 'integer' } as const;
const OWN = Object.keys(OWN_TYPES);
const SHARED = ['plannedRun', 'task', 'gone', 'departedRun', 'doubt', 'refusal'];

function stateOf({ planned, task, gone, departedRun, doubt, refusal }: NextEntry): string {
  return `${planned} ${task} ${gone} ${departedRun} ${doubt} ${refusal && JSON.stringify(refusal)}`;
}

async function writeAlike(
  manager: EntityManager,
  run: ExportRun,
  entries: readonly NextEntry[],
): Promise<void> {
  const [first] = entries;
  if (first === undefined) return;
  const { planned, task, gone, departedRun, doubt, refusal } = first;
  const plannedRun = planned ? run.number : null;
  const shared = [plannedRun, task, gone, departedRun, doubt, refusal && JSON.stringify(refusal)];
  const rows = entries.map(({ emailKey, profileId, wanted, filled }) => [
    emailKey,
    profileId,
    wanted,
    filled,
  ]);
  const columns = [...SHARED, ...OWN];
  const quoted = (names: readonly string[]) => names.map((name) => `"${name}"`).join(', ');
  const changes = columns.slice(0, -OWN.length).concat(OWN.slice(1));
  await execute(
    manager,
    `INSERT INTO "ledger_entries" ("ledgerId", "standing", "everSent", ${quoted(columns)})
     SELECT $1, ${Standing.NEVER_DELIVERED}, 0, ${SHARED.map((_, index) => `$${index + 2}`).join(', ')}, ${quoted(OWN)}
     FROM ${dialectOf(manager).table(`$${SHARED.length + 2}`, OWN_TYPES)} AS "rows" WHERE TRUE
     ON CONFLICT ("ledgerId", "emailKey") DO UPDATE SET
       "delivered" = CASE WHEN "ledger_entries"."delivered" = '${AS_WANTED}' AND excluded."wanted" <> "ledger_entries"."wanted"
         THEN "ledger_entries"."wanted" ELSE "ledger_entries"."delivered" END,
       ${changes.map((column) => `"${column}" = excluded."${column}"`).join(', ')}`,
    [run.ledgerId, ...shared, JSON.stringify(rows)],
  );
}

/** Whether a run to the same list is about to take the address off it, or does not know yet whether it has. */
export async function isRemovalUnderWay(
  manager: EntityManager,
  { account, listId }: ExportRun,
  emailKey: string,
): Promise<boolean> {
  const rows = await manager.query<unknown[]>(
    `SELECT 1 FROM "export_runs" AS "run" JOIN "ledger_entries" AS "entry"
       ON "entry"."ledgerId" = "run"."ledgerId" AND "entry"."plannedRun" = "run"."number"
     WHERE "run"."account" = $1 AND "run"."state" IN ('RUNNING', 'CANCELING') AND "run"."listId" = $2
       AND "entry"."emailKey" = $3 AND "entry"."task" = ${LedgerTask.REMOVE}`,
    [account, listId, emailKey],
  );
  return rows.length > 0;
}

/** Some keys of a ledger: those after `after`, up to and including `to`; null: to the end. */
export interface KeyRange {
  readonly after: string;
  readonly to: string | null;
}

/** Cuts the ledger into ranges that one statement can walk. */
export async function* keyRanges(scanner: Scanner, run: ExportRun): AsyncGenerator<KeyRange> {
  let after = '';
  for (let to: string | null = ''; to !== null; after = to ?? '') {
    const [row]: { emailKey: string }[] = await scanner.query(
      `SELECT "emailKey" FROM "ledger_entries" WHERE "ledgerId" = $1 AND "emailKey" > $2
       ORDER BY "emailKey" LIMIT 1 OFFSET ${STEP}`,
      [run.ledgerId, after],
    );
    to = row?.emailKey ?? null;
    yield { after, to };
  }
}

/** Forgets that the run planned anybody. */
export async function unplan(services: Tenant, run: ExportRun): Promise<void> {
  await changeEntries(services, run, '"plannedRun" = NULL', '"plannedRun" = $2');
}

/** People whom the destination does not hold, so that their refusal may be for want of room. */
const MAY_LACK_ROOM = `"standing" = ${Standing.NEVER_DELIVERED} AND "task" <> ${LedgerTask.REMOVE}`;
const BY_DESTINATION = `"refusal" LIKE '{"reason":"${RejectionReason.REFUSED_BY_DESTINATION}"%'`;
const WAS_REFUSED = `"refusal" LIKE '%"wasRefused":true%'`;

/**
 * The account was full, perhaps since an earlier run that could not know it: no refusal stands of whom the account does not
 * hold. Who was refused by this run for the first time counts as never refused. The next run tries them again.
 */
export async function forgetRefusals(services: Tenant, run: ExportRun): Promise<void> {
  const lacksRoom = `${MAY_LACK_ROOM} AND ${BY_DESTINATION}`;
  const isNewcomer = `"refusedRun" = $2 AND NOT ${WAS_REFUSED}`;
  await changeEntries(
    services,
    run,
    '"refusedRun" = NULL, "refusal" = NULL',
    `${isNewcomer} AND ${lacksRoom}`,
  );
  await changeEntries(services, run, '"refusal" = NULL', `"refusedRun" <= $2 AND ${lacksRoom}`);
}

/** How many of these people the run was refused who had been refused before; the same after `forgetRefusals`. */
export async function countRefusedAgain(scanner: Scanner, run: ExportRun): Promise<number> {
  const [row] = await scanner.query<[{ people: number }]>(
    `SELECT COUNT(*) AS "people" FROM "ledger_entries" WHERE "ledgerId" = $1 AND "refusedRun" = $2
       AND ${MAY_LACK_ROOM} AND ("refusal" IS NULL OR (${BY_DESTINATION} AND ${WAS_REFUSED}))`,
    [run.ledgerId, run.number],
  );
  return row.people;
}

/** Changes entries in steps of some 50 ms. @param where which of the ledger's; $2 is the number of the run. */
async function changeEntries(services: Tenant, run: ExportRun, set: string, where: string): Promise<void> {
  for await (const { after, to } of keyRanges(services.database.scanner, run)) {
    await transactAs(services, run, ({ manager }) =>
      execute(
        manager,
        `UPDATE "ledger_entries" SET ${set} WHERE "ledgerId" = $1 AND ${where}
         AND "emailKey" > $3 ${to === null ? '' : 'AND "emailKey" <= $4'}`,
        [run.ledgerId, run.number, after, ...(to === null ? [] : [to])],
      ),
    );
  }
}
