import type { EntityManager } from 'typeorm';
import { dialectOf, execute } from '../bulk-sql.js';
import type { Transaction } from '../database.js';
import type { ColumnType } from '../dialect.js';
import { Batch, BatchState } from '../entities/batch.js';
import type { ExportRun } from '../entities/export-run.js';
import { LedgerTask } from '../entities/ledger.js';
import { isNewcomer } from './newcomers.js';
import type { PlannedEntry } from './planned.js';
import { count } from './run-states.js';

/*
 * The rows of batches, in plain SQL: a run of a million writes four thousand of them, three times each, and the time
 * that an ORM takes for each adds up to more than everything else.
 */

/** The states of batches whose people are not all decided. */
export const UNDECIDED = [BatchState.PLANNED, BatchState.SENDING, BatchState.ACCEPTED];

/** A batch without the number that its row will have. */
export type NewBatch = Omit<Batch, 'id'>;

/** What the halves of a batch have from it. */
type Inherited = Pick<Batch, 'losses' | 'mayHaveArrived' | 'unprovenTries' | 'windows'>;

const NOT_BEGUN: Inherited = { losses: 0, mayHaveArrived: false, unprovenTries: 0, windows: null };

/** A batch row for these entries, not yet written. */
export function newBatch(
  run: ExportRun,
  entries: readonly PlannedEntry[],
  state: BatchState,
  intentAt: Date,
  { losses, mayHaveArrived, unprovenTries, windows }: Inherited = NOT_BEGUN,
): NewBatch {
  const [first, last] = [entries[0], entries.at(-1)];
  if (first === undefined || last === undefined) throw new Error('A batch needs at least one contact');
  return {
    runId: run.id,
    fromKey: first.emailKey,
    toKey: last.emailKey,
    checked: first.task === LedgerTask.PUT_CHECKED,
    contacts: entries.length,
    state,
    confirmed: 0,
    rejected: 0,
    unconfirmed: 0,
    mayHaveArrived,
    unprovenTries,
    losses,
    newcomers: entries.filter(isNewcomer).length,
    newcomersRefused: 0,
    newcomersRefusedLast: 0,
    intentAt,
    begunAt: null,
    seenAt: null,
    windows,
    receipt: null,
    acceptedAt: null,
  };
}

/** The columns of a batch that change after it was written. */
const CHANGING = {
  state: 'text',
  contacts: 'integer',
  confirmed: 'integer',
  rejected: 'integer',
  unconfirmed: 'integer',
  mayHaveArrived: 'boolean',
  unprovenTries: 'integer',
  losses: 'integer',
  newcomers: 'integer',
  newcomersRefused: 'integer',
  newcomersRefusedLast: 'integer',
  intentAt: 'text',
  begunAt: 'text',
  seenAt: 'text',
  windows: 'text',
  receipt: 'text',
  acceptedAt: 'text',
} as const satisfies Partial<Record<keyof Batch, ColumnType>>;

const COLUMNS: Record<keyof NewBatch, ColumnType> = {
  runId: 'text',
  fromKey: 'text',
  toKey: 'text',
  checked: 'boolean',
  ...CHANGING,
};

/** Writes new batches of one run, with one statement, and gives them their ids. @returns them in the same order. */
export async function insertBatches(manager: EntityManager, batches: readonly NewBatch[]): Promise<Batch[]> {
  if (batches.length === 0) return [];
  const columns = Object.keys(COLUMNS) as (keyof NewBatch)[];
  const names = columns.map((column) => `"${column}"`).join(', ');
  // TypeORM asks SQLite for no rows when it sees that a statement begins as an INSERT.
  const written = await manager.query<{ id: number; fromKey: string }[]>(
    ` INSERT INTO "batches" (${names}) SELECT ${names} FROM ${dialectOf(manager).table('$1', COLUMNS)} AS "rows"
      RETURNING "id", "fromKey"`,
    [JSON.stringify(batches.map((batch) => columns.map((column) => batch[column])))],
  );
  // A database may answer in any order; no two batches of a run that are written together begin with the same key.
  const ids = new Map(written.map(({ id, fromKey }) => [fromKey, id]));
  return batches.map((batch) => Object.assign(new Batch(), batch, { id: ids.get(batch.fromKey) }));
}

/** Writes batches as they are now, with one statement for all. */
export async function writeBatches(manager: EntityManager, batches: readonly Batch[]): Promise<void> {
  const changing = Object.keys(CHANGING) as (keyof typeof CHANGING)[];
  const rows = batches.map((batch) => [batch.id, ...changing.map((column) => batch[column])]);
  const changes = changing.map((column) => `"${column}" = "now"."${column}"`);
  await execute(
    manager,
    `UPDATE "batches" SET ${changes.join(', ')} FROM ${dialectOf(manager).table('$1', { id: 'integer', ...CHANGING })} AS "now"
     WHERE "batches"."id" = "now"."id"`,
    [JSON.stringify(rows)],
  );
}

/** Gives contacts a row of their own before they are sent. */
export async function planBatch(
  { manager }: Transaction,
  run: ExportRun,
  entries: readonly PlannedEntry[],
  at: Date,
): Promise<Batch> {
  await count(manager, run, {});
  const [batch] = await insertBatches(manager, [newBatch(run, entries, BatchState.PLANNED, at)]);
  if (batch === undefined) throw new Error('The batch was not written');
  return batch;
}
