import 'reflect-metadata';
import { LedgerEntry, Standing } from '../src/entities/ledger.js';
import { openDatabase } from '../src/open-database.js';
import { dataModel } from '../src/server/data-model.js';
import { emptyDatabaseIn, openIn } from './helpers/databases.js';
import { temporaryFolder } from './helpers/sluice.js';

/** Those of version 0.1.0. */
const OLD_MIGRATIONS = dataModel.migrations.filter(
  ({ name }) => Number(/\d+$/.exec(name)?.[0]) < 1796000000000,
);

const PUT = 1;
const REMOVE = 2;

describe('a database of version 0.1.0 with people in doubt', () => {
  it('lets no batch vouch for whom another export has taken off the list', async () => {
    await using folder = await temporaryFolder();
    const before = await openDatabase(await emptyDatabaseIn(folder.path), {
      entities: [],
      migrations: OLD_MIGRATIONS,
    });
    await before.transact(async ({ manager }) => {
      await manager.query(`INSERT INTO "ledgers" ("id", "exportId", "account", "listId")
        VALUES (1, 'a', 'account', '1'), (2, 'b', 'account', '1'), (3, 'c', 'account', '2')`);
      const entry = (ledger: number, key: string, task: number, standing: Standing, doubt: number | 'NULL') =>
        manager.query(`INSERT INTO "ledger_entries" ("ledgerId", "emailKey", "profileId", "task", "wanted", "standing", "gone",
            "doubt", "filled", "everSent")
          VALUES (${ledger}, '${key}@example.com', '${key}', ${task}, '["${key}@example.com","","",""]', ${standing}, FALSE,
            ${doubt}, 0, 0)`);
      await entry(1, 'removed', PUT, Standing.NEVER_DELIVERED, 7);
      await entry(2, 'removed', REMOVE, Standing.REMOVED, 'NULL');
      await entry(1, 'kept', PUT, Standing.NEVER_DELIVERED, 7);
      await entry(2, 'kept', PUT, Standing.ON_LIST, 'NULL');
      await entry(1, 'elsewhere', PUT, Standing.NEVER_DELIVERED, 7);
      await entry(3, 'elsewhere', REMOVE, Standing.REMOVED, 'NULL');
      await entry(1, 'leaving', REMOVE, Standing.REMOVED, 7);
      await entry(2, 'leaving', REMOVE, Standing.REMOVED, 'NULL');
    });
    await before.close();

    const database = await openIn(folder.path);
    const entries = await database.reader.findBy(LedgerEntry, { ledgerId: 1 });
    expect(entries.map(({ profileId, standing, doubt }) => [profileId, standing, doubt]).sort()).toEqual([
      ['elsewhere', Standing.NEVER_DELIVERED, 7],
      ['kept', Standing.NEVER_DELIVERED, 7],
      ['leaving', Standing.REMOVED, 7],
      ['removed', Standing.REMOVED, 0],
    ]);
    await database.close();
  });
});
