import type { EntityManager } from 'typeorm';
import { dialectOf, execute } from '../bulk-sql.js';
import type { Dialect } from '../dialect.js';
import type { Batch } from '../entities/batch.js';
import type { ExportRun } from '../entities/export-run.js';
import { AS_WANTED, DOUBT_FOR_GOOD, LedgerTask, Standing } from '../entities/ledger.js';
import type { RemovalWindow } from './ledger.js';
import { noteRemovals, noteReturns } from './note-removals.js';
import { tasksOf } from './planned.js';
import type { Refusal } from './refusals.js';
import type { RemovalServices } from './removals.js';

/*
 * What the ledger learns when the outcome of entries is known, or known to stay unknown. All statements are for the
 * entries that the run has planned and not decided; afterwards they are decided.
 */

/** The optional fields of a contact by their place in `wanted` and `delivered`; the first item is the address. */
const FIELDS = [1, 2, 3];

const IS_REMOVAL = `"ledger_entries"."task" = ${LedgerTask.REMOVE}`;

/** What the destination holds once the wanted contact is confirmed: a field that was not sent is as it was. */
function deliveredNow(sql: Dialect): string {
  const merged = sql.array([
    sql.item('"wanted"', 0),
    ...FIELDS.map((field) => `COALESCE(${sql.item('"wanted"', field)}, ${sql.item('"delivered"', field)})`),
  ]);
  return `CASE
    WHEN "delivered" IS NULL OR "delivered" = '${AS_WANTED}' THEN '${AS_WANTED}'
    WHEN ${merged} = "wanted" THEN '${AS_WANTED}' ELSE ${merged} END`;
}

/** What holds of an entry whose outcome is known to be good. */
export function delivered(sql: Dialect): string {
  return `
    "delivered" = CASE WHEN ${IS_REMOVAL} THEN "delivered" ELSE ${deliveredNow(sql)} END,
    "standing" = CASE WHEN ${IS_REMOVAL} THEN ${Standing.REMOVED} ELSE ${Standing.ON_LIST} END,
    "everSent" = CASE WHEN ${IS_REMOVAL} THEN "everSent" ELSE "everSent" | "filled" END,
    "doubt" = NULL, "refusedRun" = NULL, "refusal" = NULL`;
}

const RANGE = {
  id: 'integer',
  ledger: 'integer',
  fromKey: 'text',
  toKey: 'text',
  task: 'integer',
  orTask: 'integer',
} as const;

/** A batch that the destination is done with. */
export interface Arrival {
  readonly batch: Batch;
  /** When its removals took effect: an unsubscribe that the destination dates otherwise was the person's choice. */
  readonly windows: readonly RemovalWindow[];
}

/**
 * The destination is done with these batches: whoever is left in them is delivered as wanted, or off the list.
 * @returns how many there were in each, by the id of the batch.
 */
export async function confirmEntries(
  services: RemovalServices,
  manager: EntityManager,
  run: ExportRun,
  arrivals: readonly Arrival[],
): Promise<Map<number, number>> {
  if (arrivals.length === 0) return new Map();
  for (const { batch, windows } of arrivals) {
    await noteRemovalsOf(services, manager, run, batch, windows);
    if (batch.checked) await noteReturns(services, manager, run, inBatch(batch), batchParameters(run, batch));
  }
  // A batch carries two tasks at most, one twice if it carries one: each range has as many columns.
  const ranges = arrivals.map(({ batch }) => {
    const [task, orTask = task] = tasksOf(batch);
    return [batch.id, run.ledgerId, batch.fromKey, batch.toKey, task, orTask];
  });
  const sql = dialectOf(manager);
  const rangesTable = `${sql.table('$1', RANGE)} AS "range"`;
  // The ledger's number comes from the range so that SQLite looks up each range, and does not walk the whole ledger.
  const inRange = `"ledgerId" = "range"."ledger" AND "plannedRun" = $2
    AND "emailKey" >= "range"."fromKey" AND "emailKey" <= "range"."toKey"
    AND "ledger_entries"."task" IN ("range"."task", "range"."orTask")`;
  const parameters = [JSON.stringify(ranges), run.number];
  const counted = await manager.query<{ id: number; count: number }[]>(
    `SELECT "range"."id" AS "id", COUNT(*) AS "count" FROM ${rangesTable}, "ledger_entries"
     WHERE ${inRange} GROUP BY "range"."id"`,
    parameters,
  );
  await execute(
    manager,
    `UPDATE "ledger_entries" SET "plannedRun" = NULL, ${delivered(sql)} FROM ${rangesTable} WHERE ${inRange}`,
    parameters,
  );
  return new Map(counted.map(({ id, count }) => [id, count]));
}

/**
 * Nobody knows what became of a batch: nobody relies on what was delivered to its people, until it tells after all.
 * @returns how many there were.
 */
export async function doubtEntries(
  services: RemovalServices,
  manager: EntityManager,
  run: ExportRun,
  batch: Batch,
  windows: readonly RemovalWindow[],
): Promise<number> {
  await noteRemovalsOf(services, manager, run, batch, windows);
  return update(
    manager,
    run,
    `"standing" = CASE WHEN ${IS_REMOVAL} THEN ${Standing.REMOVED} ELSE "standing" END,
     "everSent" = CASE WHEN ${IS_REMOVAL} THEN "everSent" ELSE "everSent" | "filled" END,
     "doubt" = ${batch.id}`,
    batch,
  );
}

/**
 * Of refused contacts, who is in doubt: NOBODY, because nothing was queued; DELIVERED, whoever was on record before,
 * because a refusal may have changed a part; EVERYBODY, because an earlier request may have arrived.
 */
export type InDoubt = 'NOBODY' | 'DELIVERED' | 'EVERYBODY';

/** These contacts were refused, or kept back. @param refusal what stands from now on; null: nothing. */
export async function refuseEntries(
  manager: EntityManager,
  run: ExportRun,
  keys: readonly string[],
  refusal: Refusal | null,
  inDoubt: InDoubt,
): Promise<number> {
  const sent = `"everSent" = "everSent" | "filled"`;
  const changes = {
    NOBODY: '',
    DELIVERED: `, ${sent}, "doubt" = CASE WHEN "standing" = ${Standing.NEVER_DELIVERED} THEN "doubt" ELSE ${DOUBT_FOR_GOOD} END`,
    EVERYBODY: `, ${sent}, "doubt" = ${DOUBT_FOR_GOOD}`,
  };
  return execute(
    manager,
    `UPDATE "ledger_entries" SET "plannedRun" = NULL, "refusal" = $1${refusal === null ? '' : ', "refusedRun" = "plannedRun"'}
       ${changes[inDoubt]}
     WHERE "ledgerId" = $2 AND "plannedRun" = $3 AND "emailKey" IN ${dialectOf(manager).list('$4')}`,
    [refusal && JSON.stringify(refusal), run.ledgerId, run.number, JSON.stringify(keys)],
  );
}

/** The contact is about to be put back on the list: from now on it may be there. */
export async function doubtEntry(manager: EntityManager, run: ExportRun, emailKey: string): Promise<void> {
  await execute(
    manager,
    `UPDATE "ledger_entries" SET "doubt" = ${DOUBT_FOR_GOOD}
     WHERE "ledgerId" = $1 AND "plannedRun" = $2 AND "emailKey" = $3`,
    [run.ledgerId, run.number, emailKey],
  );
}

/** They were asked about, and may be sent now. */
export async function admitEntries(
  manager: EntityManager,
  run: ExportRun,
  keys: readonly string[],
): Promise<void> {
  await execute(
    manager,
    `UPDATE "ledger_entries" SET "task" = ${LedgerTask.PUT_CHECKED}
     WHERE "ledgerId" = $1 AND "plannedRun" = $2 AND "emailKey" IN ${dialectOf(manager).list('$3')}`,
    [run.ledgerId, run.number, JSON.stringify(keys)],
  );
}

/**
 * Nothing is to be done about these leavers after all.
 * @param isOff whether another run took them off the list; else they are to stay on it.
 * @param mayHaveArrived whether an earlier request may have taken them off: then its window is noted, and whoever wants one
 *   who was to stay looks first.
 */
export async function releaseEntries(
  services: RemovalServices,
  manager: EntityManager,
  run: ExportRun,
  keys: readonly string[],
  earlier: { isOff: boolean; mayHaveArrived: boolean; windows: readonly RemovalWindow[] },
): Promise<number> {
  if (keys.length === 0) return 0;
  const list = JSON.stringify(keys);
  const where = `"ledgerId" = $1 AND "plannedRun" = $2 AND "emailKey" IN ${dialectOf(manager).list('$3')}`;
  const { isOff, mayHaveArrived, windows } = earlier;
  if (mayHaveArrived)
    await noteRemovals(services, manager, run, where, [run.ledgerId, run.number, list], windows);
  const mayBeOff = `, "standing" = ${Standing.REMOVED}, "doubt" = ${DOUBT_FOR_GOOD}`;
  return execute(
    manager,
    `UPDATE "ledger_entries" SET "plannedRun" = NULL${mayHaveArrived && !isOff ? mayBeOff : ''} WHERE ${where}`,
    [run.ledgerId, run.number, list],
  );
}

async function noteRemovalsOf(
  services: RemovalServices,
  manager: EntityManager,
  run: ExportRun,
  batch: Batch,
  windows: readonly RemovalWindow[],
): Promise<void> {
  if (run.leavers === 0) return;
  await noteRemovals(services, manager, run, inBatch(batch), batchParameters(run, batch), windows);
}

function inBatch(batch: Batch): string {
  return `"ledgerId" = $1 AND "plannedRun" = $2 AND "emailKey" >= $3 AND "emailKey" <= $4
    AND "task" IN (${tasksOf(batch).join(', ')})`;
}

function batchParameters(run: ExportRun, batch: Batch): unknown[] {
  return [run.ledgerId, run.number, batch.fromKey, batch.toKey];
}

async function update(manager: EntityManager, run: ExportRun, set: string, batch: Batch): Promise<number> {
  return execute(
    manager,
    `UPDATE "ledger_entries" SET "plannedRun" = NULL, ${set} WHERE ${inBatch(batch)}`,
    batchParameters(run, batch),
  );
}
