import type { EntityManager } from 'typeorm';
import { compareUtf8, dialectOf } from '../bulk-sql.js';
import type { Scanner } from '../database.js';
import type { Batch } from '../entities/batch.js';
import type { ExportRun } from '../entities/export-run.js';
import { LedgerTask, Standing } from '../entities/ledger.js';
import type { Sendable, WantedContact } from './mapping.js';

/** A contact of the ledger that a run still has to decide. */
export interface PlannedEntry extends Sendable {
  readonly emailKey: string;
  readonly profileId: string;
  /** It was never delivered before. */
  readonly isNew: boolean;
  /** The destination refused it in an earlier run, and has not taken it since. */
  readonly wasRefused: boolean;
}

/** The tasks that batches carry: those of people who were looked up first travel in batches of their own. */
const UNCHECKED = [LedgerTask.PUT, LedgerTask.REMOVE];

/** The entries after `afterKey` that the run still has to send, in key order. */
export async function plannedAfter(
  manager: Scanner,
  run: ExportRun,
  afterKey: string,
  limit: number,
  tasks: readonly LedgerTask[] = UNCHECKED,
): Promise<PlannedEntry[]> {
  return readPlanned(manager, run, { tasks, where: '"emailKey" > $3', keys: [afterKey], limit });
}

/** The entries of a batch that are still to be decided, in key order. */
export async function plannedIn(
  manager: EntityManager,
  run: ExportRun,
  batch: Batch,
): Promise<PlannedEntry[]> {
  return readPlanned(manager, run, {
    tasks: tasksOf(batch),
    where: '"emailKey" >= $3 AND "emailKey" <= $4',
    keys: [batch.fromKey, batch.toKey],
    limit: batch.contacts,
  });
}

/** The tasks whose entries belong to the batch, of those in its range. */
export function tasksOf(batch: Pick<Batch, 'checked'>): readonly LedgerTask[] {
  return batch.checked ? [LedgerTask.PUT_CHECKED] : UNCHECKED;
}

type PlannedRow = [
  emailKey: string,
  profileId: string,
  task: LedgerTask,
  wanted: WantedContact,
  everSent: number,
  standing: Standing,
  refusedRun: number | null,
];

async function readPlanned(
  manager: Scanner,
  run: ExportRun,
  which: { tasks: readonly LedgerTask[]; where: string; keys: string[]; limit: number },
): Promise<PlannedEntry[]> {
  const [{ rows }] = await manager.query<[{ rows: string }]>(
    `SELECT ${dialectOf(manager).rows(
      [
        '"emailKey"',
        '"profileId"',
        '"task"',
        { json: '"wanted"' },
        '"everSent"',
        '"standing"',
        '"refusedRun"',
      ],
      '"emailKey"',
    )} AS "rows" FROM (
       SELECT * FROM "ledger_entries"
       WHERE "ledgerId" = $1 AND "plannedRun" = $2 AND ${which.where} AND "task" IN (${which.tasks.join(', ')})
       ORDER BY "emailKey" LIMIT ${which.limit}) AS "planned"`,
    [run.ledgerId, run.number, ...which.keys],
  );
  return (JSON.parse(rows) as PlannedRow[]).map(
    ([emailKey, profileId, task, wanted, everSent, standing, refusedRun]) => ({
      emailKey,
      profileId,
      task,
      wanted,
      everSent,
      // A leaver whom only another export delivered is no newcomer.
      isNew: standing === Standing.NEVER_DELIVERED && task !== LedgerTask.REMOVE,
      wasRefused: refusedRun !== null,
    }),
  );
}

/** How many entries the run has planned and not decided. */
export async function countPlanned(manager: Scanner, run: ExportRun): Promise<number> {
  const [row] = await manager.query<[{ planned: number }]>(
    `SELECT COUNT(*) AS "planned" FROM "ledger_entries" WHERE "ledgerId" = $1 AND "plannedRun" = $2`,
    [run.ledgerId, run.number],
  );
  return row.planned;
}

/** A batch that is under way, and the run that it belongs to. */
export interface Holder {
  readonly batchId: number;
  readonly runId: string;
}

/**
 * A batch under way of another run on the same list that has one of these addresses, if there is one. The importer works
 * batches in an order of its own: with two undecided ones for an address nobody could tell which values won, or whose
 * failure was reported. Only addresses in common wait: a small run is not held up by a big one with other people.
 *
 * Runs with no batch under way in the range of the addresses are left out first: of hundreds that wait for each other most
 * have none. CROSS JOIN keeps SQLite to this order; by itself it looks every address up once for each batch under way.
 */
export async function holderOf(
  manager: EntityManager,
  run: ExportRun,
  entries: readonly Pick<PlannedEntry, 'emailKey'>[],
): Promise<Holder | undefined> {
  const keys = entries.map(({ emailKey }) => emailKey);
  const [from, to] = rangeOf(keys);
  const [holder] = await manager.query<Holder[]>(
    `SELECT "batches"."id" AS "batchId", "other"."id" AS "runId"
     FROM "export_runs" AS "other" CROSS JOIN "ledger_entries" AS "theirs" CROSS JOIN "batches"
     WHERE "other"."account" = $1 AND "other"."state" IN ('RUNNING', 'CANCELING')
       AND "other"."listId" = $2 AND "other"."id" <> $3
       AND EXISTS (SELECT 1 FROM "batches" AS "near" WHERE "near"."runId" = "other"."id"
         AND "near"."state" IN ('SENDING', 'ACCEPTED') AND "near"."fromKey" <= $4 AND "near"."toKey" >= $5)
       AND "theirs"."ledgerId" = "other"."ledgerId" AND "theirs"."plannedRun" = "other"."number"
       AND "theirs"."emailKey" IN ${dialectOf(manager).list('$6')}
       AND "batches"."runId" = "other"."id" AND "batches"."state" IN ('SENDING', 'ACCEPTED')
       AND "batches"."fromKey" <= "theirs"."emailKey" AND "batches"."toKey" >= "theirs"."emailKey"
     LIMIT 1`,
    [run.account, run.listId, run.id, to, from, JSON.stringify(keys)],
  );
  return holder;
}

/** The first and the last of some keys, as the database orders them. */
function rangeOf(keys: readonly string[]): [from: string, to: string] {
  let [from = '', to = ''] = [keys[0], keys[0]];
  for (const key of keys) {
    if (compareUtf8(key, from) < 0) from = key;
    if (compareUtf8(key, to) > 0) to = key;
  }
  return [from, to];
}
