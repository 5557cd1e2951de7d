import type { EntityManager } from 'typeorm';
import { dialectOf, execute } from '../bulk-sql.js';
import type { Scanner } from '../database.js';
import type { ExportRun } from '../entities/export-run.js';
import { Export, type LeaverPolicy } from '../entities/export.js';
import { AS_WANTED, Ledger, LedgerTask, Standing } from '../entities/ledger.js';
import type { NextEntry } from './differences.js';
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

/** The ledger of an export's list, if there is one, with those of the other exports to the same list. */
export async function placeOf(
  manager: EntityManager,
  { exportId, account, listId }: Pick<ExportRun, 'exportId' | 'account' | 'listId'>,
): Promise<LedgerPlace> {
  const ledgers = await manager.findBy(Ledger, { account, listId });
  const neighbours: Neighbour[] = [];
  for (const ledger of ledgers.filter((other) => other.exportId !== exportId)) {
    const other = await manager.findOneBy(Export, { id: ledger.exportId });
    if (other === null) continue;
    const attached = other.connectionId !== null && other.account === account && other.list.id === listId;
    neighbours.push({ ledgerId: ledger.id, exportId: other.id, attached, policy: other.leavers });
  }
  return { ledgerId: ledgers.find((ledger) => ledger.exportId === exportId)?.id ?? null, neighbours };
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
const SHARED = ['plannedRun', 'task', 'gone', 'doubt', 'refusal'];

function stateOf({ planned, task, gone, doubt, refusal }: NextEntry): string {
  return `${planned} ${task} ${gone} ${doubt} ${refusal && JSON.stringify(refusal)}`;
}

async function writeAlike(
  manager: EntityManager,
  run: ExportRun,
  entries: readonly NextEntry[],
): Promise<void> {
  const [first] = entries;
  if (first === undefined) return;
  const { planned, task, gone, doubt, refusal } = first;
  const shared = [planned ? run.number : null, task, gone, doubt, refusal && JSON.stringify(refusal)];
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

/** When the contact was taken off the list by this export or another one to the same list. */
export async function removalsOf(
  manager: EntityManager,
  { account, listId }: ExportRun,
  emailKey: string,
): Promise<RemovalWindow[]> {
  const rows = await manager.query<{ removals: string }[]>(
    `SELECT "removals" FROM "ledger_entries" JOIN "ledgers" ON "ledgers"."id" = "ledgerId"
     WHERE "account" = $1 AND "listId" = $2 AND "emailKey" = $3 AND "removals" IS NOT NULL`,
    [account, listId, emailKey],
  );
  return rows.flatMap(({ removals }) =>
    (JSON.parse(removals) as [number, number][]).map(([from, to]) => ({ from, to })),
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
  await clearOf(services, run, 'plannedRun', 'plannedRun');
}

/** What the run was refused does not stand: the next run tries it again. */
export async function forgetRefusals(services: Tenant, run: ExportRun): Promise<void> {
  await clearOf(services, run, 'refusal', 'refusedRun');
}

/** Empties a column of the entries that name the run in another, in steps of some 50 ms. */
async function clearOf(
  services: Tenant,
  run: ExportRun,
  column: 'plannedRun' | 'refusal',
  naming: 'plannedRun' | 'refusedRun',
): Promise<void> {
  for await (const { after, to } of keyRanges(services.database.scanner, run)) {
    await transactAs(services, run, ({ manager }) =>
      execute(
        manager,
        `UPDATE "ledger_entries" SET "${column}" = NULL WHERE "ledgerId" = $1 AND "${naming}" = $2
         AND "emailKey" > $3 ${to === null ? '' : 'AND "emailKey" <= $4'}`,
        [run.ledgerId, run.number, after, ...(to === null ? [] : [to])],
      ),
    );
  }
}
