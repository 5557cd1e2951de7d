import type { QueryRunner } from 'typeorm';
import {
  createIndexes,
  createTables,
  number,
  numberKey,
  optionalLongText,
  text,
  textKey,
  longText,
} from '../portable-tables.js';
import { KELVIN_SIGN, keyOf, withAsciiDomain } from './address.js';
import { mergeEntries, type Entry } from './merge-entries.js';
import { contains, hasOtherLetters, insertRows, PAGE, quoted, select, type Row } from './sql.js';
import { runsUnderWay, takeOutOfBatches } from './runs-under-way.js';

/** Which entries change, and how; and those entries while they have left the ledger and are not back yet. */
const CHANGES = 'renewed_keys';
const CHANGED = 'renewed_entries';

const AS_WANTED = '=';

type Contact = [email: string, ...values: unknown[]];

/** Gives the entries of all ledgers their new keys, and writes the domains of their addresses in ASCII. */
export async function renewLedger(runner: QueryRunner): Promise<void> {
  await createTables(runner, {
    [CHANGES]: {
      ledgerId: numberKey,
      oldKey: textKey,
      newKey: text,
      wanted: longText,
      delivered: optionalLongText,
      isAddressedAnew: number,
      isDoubtful: number,
    },
  });
  await createIndexes(runner, [[`"${CHANGES}_new"`, `"${CHANGES}" ("ledgerId", "newKey")`]]);
  const ledgers = await select<{ id: number }>(runner, 'SELECT "id" FROM "ledgers" ORDER BY "id"');
  for (const { id } of ledgers) await noteChanges(runner, id);
  const runs = await runsUnderWay(runner);
  for (const run of runs) await takeOutOfBatches(runner, run, CHANGES);
  const columns = await takeOut(runner);
  await merge(runner, ({ ledgerId, plannedRun }) =>
    runs.some((run) => run.ledgerId === ledgerId && run.number === plannedRun),
  );
  await runner.query(
    `INSERT INTO "ledger_entries" (${quoted(columns)}) SELECT ${quoted(columns)} FROM "${CHANGED}"`,
  );
  await runner.dropTable(CHANGED);
  await runner.dropTable(CHANGES);
}

/**
 * Finds the entries that change. Their address is looked for in `wanted`: the old key of the
 * Kelvin sign was a k. All other
 * entries have keys and addresses of ASCII letters.
 */
async function noteChanges(runner: QueryRunner, ledgerId: number): Promise<void> {
  const page = `SELECT "emailKey", "wanted", "delivered" FROM "ledger_entries"
    WHERE "ledgerId" = $1 AND "emailKey" > $2
      AND (${hasOtherLetters(runner, '"emailKey"')} OR ${contains(runner, '"wanted"', '$3')})
    ORDER BY "emailKey" LIMIT ${PAGE}`;
  for (let after: string | undefined = ''; after !== undefined;) {
    const rows: Pick<Entry, 'emailKey' | 'wanted' | 'delivered'>[] = await select(runner, page, [
      ledgerId,
      after,
      KELVIN_SIGN,
    ]);
    await insertRows(
      runner,
      CHANGES,
      rows.flatMap((row) => changeOf(row).map((change) => ({ ledgerId, ...change }))),
    );
    after = rows.length < PAGE ? undefined : rows.at(-1)?.emailKey;
  }
}

function changeOf({ emailKey, wanted, delivered }: Pick<Entry, 'emailKey' | 'wanted' | 'delivered'>): Row[] {
  const [email] = JSON.parse(wanted) as Contact;
  const newKey = keyOf(email);
  const now = {
    wanted: withAscii(wanted),
    delivered: delivered === AS_WANTED ? delivered : withAscii(delivered),
  };
  if (newKey === emailKey && now.wanted === wanted && now.delivered === delivered) return [];
  const isAnother =
    delivered !== null && delivered !== AS_WANTED && keyOf((JSON.parse(delivered) as Contact)[0]) !== newKey;
  return [
    {
      oldKey: emailKey,
      newKey,
      ...now,
      // What the destination refused was another address.
      isAddressedAnew: now.wanted === wanted ? 0 : 1,
      // What the destination confirmed was somebody else's.
      isDoubtful: isAnother ? 1 : 0,
    },
  ];
}

/** A contact with the domain of its address in ASCII; the text is as it was where that is so already. */
function withAscii<T extends string | null>(contact: T): T | string {
  if (contact === null) return contact;
  const [email, ...values] = JSON.parse(contact) as Contact;
  const sent = withAsciiDomain(email);
  return sent === email ? contact : JSON.stringify([sent, ...values]);
}

/** Takes the entries that change out of the ledger, all of them before one comes back under a key that another had. */
async function takeOut(runner: QueryRunner): Promise<string[]> {
  const columns = (await runner.getTable('ledger_entries'))?.columns.map(({ name }) => name) ?? [];
  const isRefusalOfAnother = `"change"."isAddressedAnew" = 1 AND "entry"."refusal" LIKE '%"REFUSED_BY_DESTINATION"%'`;
  const changed: Readonly<Record<string, string>> = {
    emailKey: '"change"."newKey"',
    wanted: '"change"."wanted"',
    delivered: '"change"."delivered"',
    doubt: 'CASE WHEN "change"."isDoubtful" = 1 THEN 0 ELSE "entry"."doubt" END',
    refusal: `CASE WHEN ${isRefusalOfAnother} THEN NULL ELSE "entry"."refusal" END`,
    refusedRun: `CASE WHEN ${isRefusalOfAnother} THEN NULL ELSE "entry"."refusedRun" END`,
  };
  const values = columns.map((column) => `${changed[column] ?? `"entry"."${column}"`} AS "${column}"`);
  await runner.query(
    `CREATE TABLE "${CHANGED}" AS SELECT ${values.join(', ')} FROM "${CHANGES}" AS "change"
     JOIN "ledger_entries" AS "entry"
       ON "entry"."ledgerId" = "change"."ledgerId" AND "entry"."emailKey" = "change"."oldKey"`,
  );
  await createIndexes(runner, [[`"${CHANGED}_key"`, `"${CHANGED}" ("ledgerId", "emailKey")`]]);
  await runner.query(
    `DELETE FROM "ledger_entries" WHERE ("ledgerId", "emailKey") IN (SELECT "ledgerId", "oldKey" FROM "${CHANGES}")`,
  );
  return columns;
}

/** Makes one of the entries that have the same key now. */
async function merge(runner: QueryRunner, isUnderWay: (entry: Entry) => boolean): Promise<void> {
  const sharedKeys = `SELECT "ledgerId", "emailKey" FROM "${CHANGED}" GROUP BY "ledgerId", "emailKey" HAVING COUNT(*) > 1
    UNION SELECT "ledgerId", "emailKey" FROM "${CHANGED}"
      WHERE ("ledgerId", "emailKey") IN (SELECT "ledgerId", "emailKey" FROM "ledger_entries")
    ORDER BY "ledgerId", "emailKey" LIMIT ${PAGE}`;
  for (;;) {
    const keys = await select<{ ledgerId: number; emailKey: string }>(runner, sharedKeys);
    if (keys.length === 0) return;
    for (const [ledgerId, ofLedger] of Map.groupBy(keys, (key) => key.ledgerId)) {
      const parameters = [ledgerId, ...ofLedger.map(({ emailKey }) => emailKey)];
      const places = ofLedger.map((_, index) => `$${index + 2}`).join(', ');
      const which = `WHERE "ledgerId" = $1 AND "emailKey" IN (${places})`;
      const rows: Entry[] = [];
      for (const table of ['ledger_entries', CHANGED]) {
        rows.push(...(await select<Entry>(runner, `SELECT * FROM "${table}" ${which}`, parameters)));
        await runner.query(`DELETE FROM "${table}" ${which}`, parameters);
      }
      const groups = Map.groupBy(rows, ({ emailKey }) => emailKey);
      await insertRows(
        runner,
        'ledger_entries',
        [...groups.values()].map((entries) => mergeEntries(entries, isUnderWay)),
      );
    }
  }
}
