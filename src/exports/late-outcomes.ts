import type { EntityManager } from 'typeorm';
import { dialectOf, execute } from '../bulk-sql.js';
import type { Batch } from '../entities/batch.js';
import { DOUBT_FOR_GOOD, LedgerTask, Standing } from '../entities/ledger.js';
import { delivered } from './decide-entries.js';
import { attributeFailures } from './failures.js';
import type { RemovalWindow } from './ledger.js';
import { noteRemovals, type LedgerAtList } from './note-removals.js';
import type { Refusal } from './refusals.js';
import type { RemovalServices } from './removals.js';

const IS_NEW = `"standing" = ${Standing.NEVER_DELIVERED} AND "task" <> ${LedgerTask.REMOVE}`;

/** What a batch tells after its run has ended. */
export interface LateOutcome {
  /** Those who failed, as the destination spells them. */
  readonly failures: readonly string[];
  readonly refusal: Refusal;
  /** When its removals took effect, beside what was noted when the run ended. */
  readonly windows: readonly RemovalWindow[];
}

/**
 * A batch whose outcome was unknown has told it after all. It decides the entries that are still in doubt because of this
 * batch: they are delivered as they were sent, or refused. It says nothing about entries that changed since, for example
 * because another export took the address off the list (see `noteRemovals`). A failure that belongs to no entry of the
 * batch leaves all of them in doubt. A refusal of somebody who was never delivered does not stand: whether the account was
 * full then is not known, and the run that asks tries these people again.
 */
export async function resolveEntries(
  services: RemovalServices,
  manager: EntityManager,
  run: LedgerAtList,
  batch: Batch,
  { failures, refusal, windows }: LateOutcome,
): Promise<void> {
  const { ledgerId } = run;
  const inRange = '"ledgerId" = $1 AND "emailKey" >= $2 AND "emailKey" <= $3';
  const range = [ledgerId, batch.fromKey, batch.toKey];
  // Whoever was in the batch is in doubt ever since: because of the batch, or for good if something happened in between.
  const sent = await manager.query<{ emailKey: string }[]>(
    `SELECT "emailKey" FROM "ledger_entries" WHERE ${inRange} AND "doubt" IS NOT NULL`,
    range,
  );
  const failed = attributeFailures(
    failures,
    sent.map(({ emailKey }) => emailKey),
  );
  if (failed === undefined) return;
  await execute(
    manager,
    `UPDATE "ledger_entries" SET "doubt" = ${DOUBT_FOR_GOOD}, "refusal" = CASE WHEN ${IS_NEW} THEN NULL ELSE $1 END
     WHERE "ledgerId" = $2 AND "doubt" = $3 AND "emailKey" IN ${dialectOf(manager).list('$4')}`,
    [JSON.stringify(refusal), ledgerId, batch.id, JSON.stringify(failed)],
  );
  const inDoubt = `${inRange} AND "doubt" = $4`;
  const parameters = [...range, batch.id];
  // A removal may have taken effect after another export put the contact on the list: that one has to look.
  await noteRemovals(services, manager, run, inDoubt, parameters, windows);
  await execute(
    manager,
    `UPDATE "ledger_entries" SET ${delivered(dialectOf(manager))} WHERE ${inDoubt}`,
    parameters,
  );
}
