import type { Database } from '../../src/database.js';
import { DATABASE_KIND, tamper } from './databases.js';
import type { Sluice } from './sluice.js';

/** Breaks the server from behind, as a failing disk would: from now on whatever needs the table fails. */
export async function dropTable(sluice: Sluice, table: string): Promise<void> {
  await tamper(sluice.folder, `DROP TABLE "${table}"`);
}

/** What the database says then. */
export const TABLE_IS_GONE = { sqlite: /no such table/, postgres: /relation "\w+" does not exist/ }[
  DATABASE_KIND
];

/** The same for one row alone: from now on the database refuses to insert it. */
export async function refuseRow(
  database: Database,
  { table, id, message }: { readonly table: string; readonly id: string; readonly message: string },
): Promise<void> {
  const head = 'CREATE TRIGGER "refuse"';
  const statements = {
    sqlite: [
      `${head} BEFORE INSERT ON "${table}" WHEN NEW."id" = '${id}' BEGIN SELECT RAISE(ABORT, '${message}'); END`,
    ],
    postgres: [
      `CREATE FUNCTION "refuse"() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''${message}''; END'`,
      `${head} BEFORE INSERT ON "${table}" FOR EACH ROW WHEN (NEW."id" = '${id}') EXECUTE FUNCTION "refuse"()`,
    ],
  };
  await database.transact(async ({ manager }) => {
    for (const statement of statements[DATABASE_KIND]) await manager.query(statement);
  });
}
