import { systemClock } from '../src/clock.js';
import { createLogger } from '../src/logger.js';
import type { Database } from '../src/database.js';
import { Ledger, LedgerEntry, LedgerTask, Standing } from '../src/entities/ledger.js';
import { findRemovedFrom, forgetOldRemovals, rememberRemoval, removalsOf } from '../src/exports/removals.js';
import { storeEarlierRemovals } from '../src/exports/store-earlier-removals.js';
import { hashWith, loadPersonHash } from '../src/security/person-hash.js';
import { createSecretBox } from '../src/security/secret-box.js';
import { openIn } from './helpers/databases.js';
import { startProgram } from './helpers/program.js';
import { openRunRows, type RunRows } from './helpers/run-rows.js';
import { temporaryFolder } from './helpers/sluice.js';

/** A destination that nobody calls here. */
const NOWHERE = { host: '127.0.0.1:1' };
const SECRET_KEY = Buffer.alloc(32, 3).toString('base64');
const LIST = { account: 'account', listId: '1' };
const PATIENCE_MS = 120_000;
/** More than two steps move. */
const MANY = 2_500;

const person = (n: number) => `p${n}@example.com`;

/** Notes removals in the ledger of an export, as version 0.1.0 did. */
async function noteAsBefore(
  database: Database,
  exportId: string,
  removals: Readonly<Record<string, readonly (readonly [number, number])[]>>,
  standing = Standing.REMOVED,
): Promise<void> {
  await database.transact(async ({ manager }) => {
    const ledger = await manager.save(Ledger, manager.create(Ledger, { exportId, ...LIST }));
    const entries = Object.entries(removals).map(([emailKey, windows]) => ({
      ledgerId: ledger.id,
      emailKey,
      profileId: emailKey,
      plannedRun: null,
      task: LedgerTask.REMOVE,
      wanted: JSON.stringify([emailKey, null, null, null]),
      delivered: '=',
      standing,
      gone: true,
      doubt: null,
      filled: 0,
      everSent: 0,
      removals: JSON.stringify(windows),
      refusedRun: null,
      refusal: null,
    }));
    for (let from = 0; from < entries.length; from += 50) {
      await manager.insert(LedgerEntry, entries.slice(from, from + 50));
    }
  });
}

const manyPeople = (count: number) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, n) => [person(n), [[Date.now() - 1_000, Date.now()]] as const]),
  );

const countLeft = async ({ reader }: Database) =>
  (
    await reader.query<[{ left: number }]>(
      'SELECT COUNT(*) AS "left" FROM "ledger_entries" WHERE "removals" IS NOT NULL',
    )
  )[0].left;

const windowsOf = async ({ database, services }: Pick<RunRows, 'database' | 'services'>, emailKey: string) =>
  (await removalsOf(services, database.reader, LIST, emailKey)).map(({ from, to }) => [from, to]);

describe('removals that version 0.1.0 noted in ledgers', () => {
  it('are counted while they are there, and still when they have been moved', async () => {
    await using rows = await openRunRows();
    const { database, services } = rows;
    await noteAsBefore(database, 'a', { [person(1)]: [[1_000, 2_000]] });
    expect(await windowsOf(rows, person(1))).toEqual([[1_000, 2_000]]);
    await storeEarlierRemovals({ database, ...services });
    expect(await countLeft(database)).toBe(0);
    expect(await windowsOf(rows, person(1))).toEqual([[1_000, 2_000]]);
    expect(await (await findRemovedFrom(services, database.scanner, LIST))?.([person(1), person(2)])).toEqual(
      [person(1)],
    );
  });

  it('become one where exports to the list removed the same contact, and with what was noted since', async () => {
    await using rows = await openRunRows();
    const { database, services } = rows;
    await noteAsBefore(database, 'a', {
      [person(1)]: [
        [1, 2],
        [5, 6],
        [9, 10],
      ],
    });
    await noteAsBefore(database, 'b', {
      [person(1)]: [
        [3, 4],
        [7, 8],
      ],
    });
    await database.transact(({ manager }) =>
      rememberRemoval(services, manager, LIST, [person(1)], [{ from: 11, to: 12 }]),
    );
    await storeEarlierRemovals({ database, ...services });
    expect(await windowsOf(rows, person(1))).toEqual([
      [3, 4],
      [5, 6],
      [7, 8],
      [9, 10],
      [11, 12],
    ]);
  });

  it('of contacts that are back on the list, cost newcomers no look-up', async () => {
    await using rows = await openRunRows();
    const { database, services } = rows;
    await noteAsBefore(database, 'a', { [person(1)]: [[1, 2]] }, Standing.ON_LIST);
    await noteAsBefore(database, 'b', { [person(2)]: [[1, 2]] });
    await storeEarlierRemovals({ database, ...services });
    const find = await findRemovedFrom(services, database.scanner, LIST);
    expect(await find?.([person(1), person(2)])).toEqual([person(2)]);
    expect(await windowsOf(rows, person(1))).toEqual([[1, 2]]);
  });

  it('are kept as long as others, from when they took effect', async () => {
    await using rows = await openRunRows();
    const { database, services } = rows;
    const now = services.clock.now();
    const daysAgo = (days: number) => now - days * 24 * 60 * 60_000;
    await noteAsBefore(database, 'a', {
      [person(1)]: [[daysAgo(12), daysAgo(11)]],
      [person(2)]: [
        [daysAgo(12), daysAgo(11)],
        [daysAgo(10), daysAgo(9)],
      ],
    });
    await storeEarlierRemovals({ database, ...services });
    await forgetOldRemovals({ database, clock: services.clock }, 10);
    expect(await windowsOf(rows, person(1))).toEqual([]);
    expect(await windowsOf(rows, person(2))).toHaveLength(2);
  });

  it('stay where they are, and count, without the hash key', async () => {
    await using rows = await openRunRows();
    const { database, services } = rows;
    await noteAsBefore(database, 'a', { [person(1)]: [[1, 2]] });
    const without = { ...services, hashPerson: undefined };
    await storeEarlierRemovals({ database, ...without });
    expect(await countLeft(database)).toBe(1);
    expect(await removalsOf(without, database.reader, LIST, person(1))).toEqual([{ from: 1, to: 2 }]);
  });

  it('are moved once by two processes at the same time', async () => {
    await using folder = await temporaryFolder();
    await using one = await openIn(folder.path);
    await using two = await openIn(folder.path);
    await noteAsBefore(one, 'a', manyPeople(MANY));
    const hashPerson = hashWith(SECRET_KEY);
    await Promise.all([one, two].map((database) => storeEarlierRemovals({ database, hashPerson })));
    expect(await countLeft(one)).toBe(0);
    expect(await one.reader.query('SELECT COUNT(*) AS "count" FROM "removals"')).toEqual([{ count: MANY }]);
    expect(
      await one.reader.query(`SELECT COUNT(*) AS "count" FROM "removals" WHERE "windows" LIKE '[[%],[%]]'`),
    ).toEqual([{ count: 0 }]);
  });

  it(
    'are moved by the next starts when the server is killed while it moves them',
    async () => {
      await using folder = await temporaryFolder();
      const env = { SLUICE_SECRET_KEY: SECRET_KEY };
      await using database = await openIn(folder.path);
      await noteAsBefore(database, 'a', manyPeople(MANY));
      const dieAt = (point: string, nth: number) =>
        expect(startProgram(folder.path, NOWHERE, { env, death: { point, nth } })).rejects.toThrow(
          'It ended with code null before it listened.',
        );
      await dieAt('before the commit of a step that moves earlier removals', 2);
      expect(await countLeft(database)).toBe(1_500);
      await dieAt('after the commit of a step that moves earlier removals', 1);
      expect(await countLeft(database)).toBe(500);
      await using program = await startProgram(folder.path, NOWHERE, { env });
      await program.kill('SIGTERM');
      expect(await countLeft(database)).toBe(0);
      const secretBox = createSecretBox([SECRET_KEY]);
      const hashPerson = await loadPersonHash({ database, secretBox, logger: createLogger('silent') });
      const find = await findRemovedFrom({ hashPerson, clock: systemClock }, database.scanner, LIST);
      expect(await find?.(Object.keys(manyPeople(MANY)))).toHaveLength(MANY);
    },
    PATIENCE_MS,
  );
});
