import type { QueryRunner } from 'typeorm';
import { compareKeys } from './address.js';
import { insertRows, PAGE, select } from './sql.js';

/*
 * A run that was sending when the program was replaced goes on afterwards. Its batches are ranges of keys, so an entry
 * whose key changes may leave the range of its batch, or come into that of another, which would vouch for it. So:
 *
 * - an entry that stays in the range of its batch, or is in none before and afterwards, changes its key and no more;
 * - one that leaves its batch is UNCONFIRMED: nobody can tell its outcome from the batch. The next run sends it again;
 * - one in no batch that comes into the range of one is not sent as it is: it is looked up first, because people who were
 *   looked up travel in batches of their own; a leaver is left to the next run;
 * - one in no batch that becomes the same as another entry is a duplicate, as it would be in a new run.
 *
 * A run that prepares, or is held, prepares anew.
 */

export interface RunUnderWay {
  readonly id: string;
  readonly number: number;
  readonly ledgerId: number;
}

interface Range {
  readonly id: number;
  readonly fromKey: string;
  readonly toKey: string;
  readonly checked: boolean | 0 | 1;
}

interface Planned {
  readonly oldKey: string;
  readonly newKey: string;
  readonly profileId: string;
  readonly wanted: string;
  readonly task: number;
  readonly standing: number;
  readonly isShared: boolean | 0 | 1;
}

const REMOVE = 2;
const CHECK = 3;
const PUT_CHECKED = 4;

export async function runsUnderWay(runner: QueryRunner): Promise<RunUnderWay[]> {
  return select<RunUnderWay>(
    runner,
    `SELECT "id", "number", "ledgerId" FROM "export_runs" WHERE "state" IN ('RUNNING', 'CANCELING')
       AND "phase" IN ('SENDING', 'CONFIRMING') AND "ledgerId" IS NOT NULL`,
  );
}

/** @param changes the table that says which entries get which new key. */
export async function takeOutOfBatches(
  runner: QueryRunner,
  run: RunUnderWay,
  changes: string,
): Promise<void> {
  const batches = await select<Range>(
    runner,
    `SELECT "id", "fromKey", "toKey", "checked" FROM "batches"
     WHERE "runId" = $1 AND "state" IN ('PLANNED', 'SENDING', 'ACCEPTED')`,
    [run.id],
  );
  const unchecked = ranges(batches.filter(({ checked }) => !checked));
  const checked = ranges(batches.filter((batch) => Boolean(batch.checked)));
  for await (const entry of planned(runner, run, changes)) {
    const batchOf = entry.task === CHECK ? inNone : entry.task === PUT_CHECKED ? checked : unchecked;
    const before = batchOf(entry.oldKey);
    if (!entry.isShared && before === batchOf(entry.newKey)) continue;
    if (before !== undefined) await leaveUnconfirmed(runner, run, before, entry);
    else if (entry.isShared) await dropDuplicate(runner, run, entry);
    else if (entry.task === REMOVE) await release(runner, run, entry);
    else await decide(runner, run, entry, `"task" = ${CHECK}`);
  }
}

type BatchOf = (key: string) => Range | undefined;

const inNone: BatchOf = () => undefined;

function ranges(batches: readonly Range[]): BatchOf {
  const inOrder = [...batches].sort((a, b) => compareKeys(a.fromKey, b.fromKey));
  return (key) => {
    let [low, high] = [0, inOrder.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareKeys(inOrder[middle]?.fromKey ?? '', key) <= 0) low = middle + 1;
      else high = middle;
    }
    const range = inOrder[low - 1];
    return range === undefined || compareKeys(range.toKey, key) < 0 ? undefined : range;
  };
}

/** The entries that change and that the run has to decide, page by page. */
async function* planned(runner: QueryRunner, run: RunUnderWay, changes: string): AsyncGenerator<Planned> {
  const page = `SELECT "change"."oldKey", "change"."newKey", "profileId", "entry"."wanted", "task", "standing",
      (EXISTS (SELECT 1 FROM "${changes}" AS "other" WHERE "other"."ledgerId" = $1
           AND "other"."newKey" = "change"."newKey" AND "other"."oldKey" <> "change"."oldKey")
        OR EXISTS (SELECT 1 FROM "ledger_entries" AS "other" WHERE "other"."ledgerId" = $1
           AND "other"."emailKey" = "change"."newKey" AND "other"."emailKey" <> "change"."oldKey"
           AND NOT EXISTS (SELECT 1 FROM "${changes}" AS "leaving" WHERE "leaving"."ledgerId" = $1
             AND "leaving"."oldKey" = "other"."emailKey"))) AS "isShared"
    FROM "${changes}" AS "change" JOIN "ledger_entries" AS "entry"
      ON "entry"."ledgerId" = $1 AND "entry"."emailKey" = "change"."oldKey"
    WHERE "change"."ledgerId" = $1 AND "change"."oldKey" > $2 AND "entry"."plannedRun" = $3
    ORDER BY "change"."oldKey" LIMIT ${PAGE}`;
  for (let after: string | undefined = ''; after !== undefined;) {
    const rows: Planned[] = await select(runner, page, [run.ledgerId, after, run.number]);
    yield* rows;
    after = rows.length < PAGE ? undefined : rows.at(-1)?.oldKey;
  }
}

async function leaveUnconfirmed(
  runner: QueryRunner,
  run: RunUnderWay,
  batch: Range,
  entry: Planned,
): Promise<void> {
  await decide(
    runner,
    run,
    entry,
    `"plannedRun" = NULL, "doubt" = 0, "standing" = CASE WHEN "task" = ${REMOVE} THEN 2 ELSE "standing" END,
     "everSent" = CASE WHEN "task" = ${REMOVE} THEN "everSent" ELSE "everSent" | "filled" END`,
  );
  await runner.query(
    `UPDATE "batches" SET "contacts" = "contacts" - 1, "unconfirmed" = "unconfirmed" + 1,
       "state" = CASE WHEN "contacts" = 1 AND "state" <> 'ACCEPTED' THEN 'SETTLED' ELSE "state" END
     WHERE "id" = $1`,
    [batch.id],
  );
  await runner.query('UPDATE "export_runs" SET "unconfirmed" = "unconfirmed" + 1 WHERE "id" = $1', [run.id]);
  await reject(runner, run, entry, 'UNCONFIRMED', KEY_CHANGED);
}

async function dropDuplicate(runner: QueryRunner, run: RunUnderWay, entry: Planned): Promise<void> {
  if (entry.task === REMOVE) return release(runner, run, entry);
  await decide(runner, run, entry, '"plannedRun" = NULL');
  const newcomers = entry.standing === 0 ? 1 : 0;
  await runner.query(
    `UPDATE "export_runs" SET "toSend" = "toSend" - 1, "skipped" = "skipped" + 1, "newcomers" = "newcomers" - ${newcomers}
     WHERE "id" = $1`,
    [run.id],
  );
  await reject(runner, run, entry, 'DUPLICATE_EMAIL', SAME_ADDRESS);
}

/** Nothing is done about this leaver in this run. */
async function release(runner: QueryRunner, run: RunUnderWay, entry: Planned): Promise<void> {
  await decide(runner, run, entry, '"plannedRun" = NULL');
  await runner.query(
    'UPDATE "export_runs" SET "toSend" = "toSend" - 1, "leavers" = "leavers" - 1 WHERE "id" = $1',
    [run.id],
  );
}

async function decide(
  runner: QueryRunner,
  run: RunUnderWay,
  { oldKey }: Planned,
  set: string,
): Promise<void> {
  await runner.query(`UPDATE "ledger_entries" SET ${set} WHERE "ledgerId" = $1 AND "emailKey" = $2`, [
    run.ledgerId,
    oldKey,
  ]);
}

async function reject(
  runner: QueryRunner,
  run: RunUnderWay,
  { profileId, wanted }: Planned,
  reason: string,
  detail: string,
): Promise<void> {
  const [email] = JSON.parse(wanted) as [string];
  await insertRows(runner, 'rejections', [{ runId: run.id, profileId, email, reason, detail }]);
}

const KEY_CHANGED =
  'Sluice was upgraded while the address was on its way, and compares addresses in another way since. The next run sends the contact again.';
const SAME_ADDRESS = 'Another profile has the same address: its domain is the same in ASCII.';
