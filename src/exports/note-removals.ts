import type { EntityManager } from 'typeorm';
import { dialectOf, execute } from '../bulk-sql.js';
import type { ExportRun } from '../entities/export-run.js';
import { DOUBT_FOR_GOOD, LedgerTask, Standing } from '../entities/ledger.js';
import type { RemovalWindow } from './ledger.js';
import { rememberRemoval, rememberReturn, type RemovalServices } from './removals.js';

/** A ledger and its place. */
export type LedgerAtList = Pick<ExportRun, 'account' | 'listId' | 'ledgerId'>;

/**
 * Notes when removals took effect, of those entries of the run for which `where` holds. Other exports to the list that
 * had delivered these contacts (detached ones, or ones that wait for their next run) learn that they are off it. So do
 * exports that do not know yet whether they delivered them: the batch that may still tell was sent before this removal,
 * so it cannot vouch for these contacts any more.
 */
export async function noteRemovals(
  services: RemovalServices,
  manager: EntityManager,
  run: LedgerAtList,
  where: string,
  parameters: unknown[],
  windows: readonly RemovalWindow[],
): Promise<void> {
  const isRemoval = `"ledger_entries"."task" = ${LedgerTask.REMOVE}`;
  const emailKeys = await keysOf(manager, `${where} AND ${isRemoval}`, parameters);
  if (emailKeys.length === 0) return;
  await execute(
    manager,
    `UPDATE "ledger_entries" SET "standing" = ${Standing.REMOVED},
       "doubt" = CASE WHEN "doubt" IS NULL THEN NULL ELSE ${DOUBT_FOR_GOOD} END
     WHERE ("standing" = ${Standing.ON_LIST} OR ("doubt" IS NOT NULL AND "task" <> ${LedgerTask.REMOVE}))
       AND "emailKey" IN ${dialectOf(manager).list('$1')}
       AND "ledgerId" IN (SELECT "id" FROM "ledgers" WHERE "account" = $2 AND "listId" = $3 AND "id" <> $4)`,
    [JSON.stringify(emailKeys), run.account, run.listId, run.ledgerId],
  );
  if (windows.length > 0) await rememberRemoval(services, manager, run, emailKeys, windows);
}

/** The destination has confirmed on the list whoever was looked up first: those who had been taken off it are back. */
export async function noteReturns(
  services: RemovalServices,
  manager: EntityManager,
  run: ExportRun,
  where: string,
  parameters: unknown[],
): Promise<void> {
  await rememberReturn(services, manager, run, await keysOf(manager, where, parameters));
}

async function keysOf(manager: EntityManager, where: string, parameters: unknown[]): Promise<string[]> {
  const rows = await manager.query<{ emailKey: string }[]>(
    `SELECT "emailKey" FROM "ledger_entries" WHERE ${where}`,
    parameters,
  );
  return rows.map(({ emailKey }) => emailKey);
}
