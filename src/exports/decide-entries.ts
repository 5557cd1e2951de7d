import type { EntityManager } from 'typeorm';
import { dialectOf, execute } from '../bulk-sql.js';
import type { Dialect } from '../dialect.js';
import type { Batch } from '../entities/batch.js';
import type { ExportRun } from '../entities/export-run.js';
import { AS_WANTED, DOUBT_FOR_GOOD, LedgerTask, Standing } from '../entities/ledger.js';
import { attributeFailures } from './failures.js';
import type { RemovalWindow } from './ledger.js';
import { tasksOf } from './planned.js';
import type { Refusal } from './refusals.js';

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
function delivered(sql: Dialect): string {
  return `
    "delivered" = CASE WHEN ${IS_REMOVAL} THEN "delivered" ELSE ${deliveredNow(sql)} END,
    "standing" = CASE WHEN ${IS_REMOVAL} THEN ${Standing.REMOVED} ELSE ${Standing.ON_LIST} END,
    "everSent" = CASE WHEN ${IS_REMOVAL} THEN "everSent" ELSE "everSent" | "filled" END,
    "doubt" = NULL, "refusedRun" = NULL, "refusal" = NULL`;
}

/** Removals that are remembered of a contact, the latest. */
const MAX_REMOVALS = 5;

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
  /** When it took effect; undefined: the destination's clock was not seen, so that nobody can prove later that an
   *  unsubscribe was ours. */
  readonly window: RemovalWindow | undefined;
}

/**
 * The destination is done with these batches: whoever is left in them is delivered as wanted, or off the list.
 * @returns how many there were in each, by the id of the batch.
 */
export async function confirmEntries(
  manager: EntityManager,
  run: ExportRun,
  arrivals: readonly Arrival[],
): Promise<Map<number, number>> {
  if (arrivals.length === 0) return new Map();
  for (const { batch, window } of arrivals) await noteRemovalsOf(manager, run, batch, window);
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
  manager: EntityManager,
  run: ExportRun,
  batch: Batch,
  window: RemovalWindow | undefined,
): Promise<number> {
  await noteRemovalsOf(manager, run, batch, window);
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

/** These contacts were refused, or kept back. */
export async function refuseEntries(
  manager: EntityManager,
  run: ExportRun,
  keys: readonly string[],
  refusal: Refusal,
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
    `UPDATE "ledger_entries" SET "plannedRun" = NULL, "refusedRun" = $1, "refusal" = $2${changes[inDoubt]}
     WHERE "ledgerId" = $3 AND "plannedRun" = $1 AND "emailKey" IN ${dialectOf(manager).list('$4')}`,
    [run.number, JSON.stringify(refusal), run.ledgerId, JSON.stringify(keys)],
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
 * These leavers are to stay after all.
 * @param mayBeOff whether an earlier request may have taken them off the list: then whoever wants them looks first.
 */
export async function releaseEntries(
  manager: EntityManager,
  run: ExportRun,
  keys: readonly string[],
  { mayBeOff, window }: { mayBeOff: boolean; window: RemovalWindow | undefined },
): Promise<number> {
  const list = JSON.stringify(keys);
  const where = `"ledgerId" = $1 AND "plannedRun" = $2 AND "emailKey" IN ${dialectOf(manager).list('$3')}`;
  if (mayBeOff) await noteRemovals(manager, run, where, [run.ledgerId, run.number, list], window);
  const off = `, "standing" = ${Standing.REMOVED}, "doubt" = ${DOUBT_FOR_GOOD}`;
  return execute(
    manager,
    `UPDATE "ledger_entries" SET "plannedRun" = NULL${mayBeOff ? off : ''} WHERE ${where}`,
    [run.ledgerId, run.number, list],
  );
}

/**
 * A batch that nobody knew the outcome of has told it after all: whoever is still in doubt because of it, and did not
 * fail, is delivered as it was sent. A failure that is nobody's makes all of them uncertain for good.
 */
export async function resolveEntries(
  manager: EntityManager,
  ledgerId: number,
  batch: Batch,
  failures: readonly string[],
  refusal: Refusal,
): Promise<void> {
  const inDoubt = '"ledgerId" = $1 AND "emailKey" >= $2 AND "emailKey" <= $3 AND "doubt" = $4';
  const parameters = [ledgerId, batch.fromKey, batch.toKey, batch.id];
  const sent = await manager.query<{ emailKey: string }[]>(
    `SELECT "emailKey" FROM "ledger_entries" WHERE ${inDoubt}`,
    parameters,
  );
  const failed = attributeFailures(
    failures,
    sent.map(({ emailKey }) => emailKey),
  );
  if (failed === undefined) return;
  await execute(
    manager,
    `UPDATE "ledger_entries" SET "doubt" = ${DOUBT_FOR_GOOD}, "refusal" = $1
     WHERE "ledgerId" = $2 AND "emailKey" IN ${dialectOf(manager).list('$3')}`,
    [JSON.stringify(refusal), ledgerId, JSON.stringify(failed)],
  );
  await execute(
    manager,
    `UPDATE "ledger_entries" SET ${delivered(dialectOf(manager))} WHERE ${inDoubt}`,
    parameters,
  );
}

async function noteRemovalsOf(
  manager: EntityManager,
  run: ExportRun,
  batch: Batch,
  window: RemovalWindow | undefined,
): Promise<void> {
  if (run.leavers > 0) await noteRemovals(manager, run, inBatch(batch), batchParameters(run, batch), window);
}

/**
 * Notes when removals took effect, beside what is known of earlier ones. Other exports to the list that had delivered
 * these contacts (detached ones, or ones that wait for their next run) learn that they are off it.
 */
async function noteRemovals(
  manager: EntityManager,
  run: ExportRun,
  where: string,
  parameters: unknown[],
  window: RemovalWindow | undefined,
): Promise<void> {
  const rows = await manager.query<{ emailKey: string; removals: string | null }[]>(
    `SELECT "emailKey", "removals" FROM "ledger_entries" WHERE ${where} AND ${IS_REMOVAL}`,
    parameters,
  );
  if (rows.length === 0) return;
  await execute(
    manager,
    `UPDATE "ledger_entries" SET "standing" = ${Standing.REMOVED}
     WHERE "standing" = ${Standing.ON_LIST} AND "emailKey" IN ${dialectOf(manager).list('$1')}
       AND "ledgerId" IN (SELECT "id" FROM "ledgers" WHERE "account" = $2 AND "listId" = $3 AND "id" <> $4)`,
    [JSON.stringify(rows.map(({ emailKey }) => emailKey)), run.account, run.listId, run.ledgerId],
  );
  if (window === undefined) return;
  const next: [number, number] = [window.from, window.to];
  for (const [removals, group] of Map.groupBy(rows, (row) => row.removals)) {
    const before = removals === null ? [] : (JSON.parse(removals) as [number, number][]);
    await execute(
      manager,
      `UPDATE "ledger_entries" SET "removals" = $1 WHERE "ledgerId" = $2 AND "emailKey" IN ${dialectOf(manager).list('$3')}`,
      [
        JSON.stringify([...before, next].slice(-MAX_REMOVALS)),
        run.ledgerId,
        JSON.stringify(group.map(({ emailKey }) => emailKey)),
      ],
    );
  }
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
