import type { QueryRunner } from 'typeorm';
import { createTables, numberKey, text, textKey } from '../portable-tables.js';
import { KELVIN_SIGN, keyOf, withAsciiDomain } from './address.js';
import { contains, hasOtherLetters, insertRows, PAGE, select } from './sql.js';

const CHANGES = 'renewed_former_addresses';
const COLUMNS = '"ledgerId", "profileId", "emailKey"';

interface Row {
  readonly ledgerId: number;
  readonly profileId: string;
  readonly emailKey: string;
  readonly email: string;
}

/** Gives former addresses their new keys. Of two that a profile had and that are one now, one stays. */
export async function renewFormerAddresses(runner: QueryRunner): Promise<void> {
  await createTables(runner, {
    [CHANGES]: { ledgerId: numberKey, profileId: textKey, emailKey: textKey, newKey: text, email: text },
  });
  const ledgers = await select<{ ledgerId: number }>(
    runner,
    'SELECT DISTINCT "ledgerId" FROM "former_addresses"',
  );
  for (const { ledgerId } of ledgers) await noteChanges(runner, ledgerId);
  await runner.query(
    `DELETE FROM "former_addresses" WHERE (${COLUMNS}) IN (SELECT ${COLUMNS} FROM "${CHANGES}")`,
  );
  await runner.query(
    `INSERT INTO "former_addresses" (${COLUMNS}, "email") SELECT "ledgerId", "profileId", "newKey", "email"
     FROM "${CHANGES}" WHERE TRUE ORDER BY ${COLUMNS} ON CONFLICT DO NOTHING`,
  );
  await runner.dropTable(CHANGES);
}

async function noteChanges(runner: QueryRunner, ledgerId: number): Promise<void> {
  const page = `SELECT ${COLUMNS}, "email" FROM "former_addresses"
    WHERE "ledgerId" = $1 AND ("profileId", "emailKey") > ($2, $3)
      AND (${hasOtherLetters(runner, '"emailKey"')} OR ${contains(runner, '"email"', '$4')})
    ORDER BY "profileId", "emailKey" LIMIT ${PAGE}`;
  for (let last: Pick<Row, 'profileId' | 'emailKey'> | undefined = { profileId: '', emailKey: '' }; last;) {
    const { profileId, emailKey } = last;
    const rows: Row[] = await select(runner, page, [ledgerId, profileId, emailKey, KELVIN_SIGN]);
    const changed = rows
      .map((row) => ({ ...row, newKey: keyOf(row.email), email: withAsciiDomain(row.email) }))
      .filter((row, index) => row.newKey !== row.emailKey || row.email !== rows[index]?.email);
    await insertRows(runner, CHANGES, changed);
    last = rows.length < PAGE ? undefined : rows.at(-1);
  }
}
