import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import 'reflect-metadata';
import type { Database } from '../src/database.js';
import { connectIn, DATABASE_KIND, onSqlite, openIn, removeFolder } from './helpers/databases.js';
import { compareUtf8 } from '../src/bulk-sql.js';
import { Profile } from '../src/entities/profile.js';
import { dataModel } from '../src/server/data-model.js';

describe('the database', () => {
  let folder: string;
  let database: Database;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-database-'));
    database = await openIn(folder);
  });

  afterEach(async () => {
    await database.close();
    await removeFolder(folder);
  });

  const insert = (id: string) =>
    database.transact(({ manager }) => manager.insert(Profile, { id, attributes: {} }));

  it('loses no acknowledged write beside a transaction that rolls back', async () => {
    const gate = Promise.withResolvers<undefined>();
    const failing = database.transact(async ({ manager }) => {
      await manager.insert(Profile, { id: 'doomed', attributes: {} });
      await gate.promise;
      throw new Error('rolled back on purpose');
    });
    const beside = insert('kept');
    gate.resolve(undefined);
    await expect(failing).rejects.toThrow('rolled back on purpose');
    await beside;
    expect((await database.reader.find(Profile)).map((profile) => profile.id)).toEqual(['kept']);
  });

  it('carries out twenty transactions that are asked for at once', async () => {
    await Promise.all(Array.from({ length: 20 }, (_, index) => insert(`p${index}`)));
    expect(await database.reader.count(Profile)).toBe(20);
  });

  it('rolls back alone what fails among those who share a commit', async () => {
    const gate = Promise.withResolvers<undefined>();
    const first = database.transact(() => gate.promise);
    const others = ['a', 'b', 'c'].map((id) =>
      database.transact(async ({ manager }) => {
        await manager.insert(Profile, { id, attributes: {} });
        if (id === 'b') throw new Error('b is not wanted');
        return id;
      }),
    );
    gate.resolve(undefined);
    await first;
    expect(await Promise.allSettled(others)).toMatchObject([
      { value: 'a' },
      { reason: { message: 'b is not wanted' } },
      { value: 'c' },
    ]);
    expect((await database.reader.find(Profile)).map((profile) => profile.id)).toEqual(['a', 'c']);
  });

  it('shows a reader nothing of a transaction that is still open', async () => {
    await database.transact(async ({ manager }) => {
      await manager.insert(Profile, { id: 'half', attributes: {} });
      expect(await database.reader.count(Profile)).toBe(0);
    });
    expect(await database.reader.count(Profile)).toBe(1);
  });

  it('refuses a write through the reader', async () => {
    await expect(database.reader.insert(Profile, { id: 'x', attributes: {} })).rejects.toThrow(/read-?only/i);
  });

  it('refuses a transaction inside a transaction instead of waiting for itself', async () => {
    await expect(database.transact(() => insert('inner'))).rejects.toThrow('inside a transaction');
  });

  it('tells what was waiting for the commit only after it, and nothing after a rollback', async () => {
    const told: string[] = [];
    await database.transact(async ({ manager, afterCommit }) => {
      afterCommit(() => told.push('committed'));
      await manager.insert(Profile, { id: 'x', attributes: {} });
      expect(told).toEqual([]);
    });
    const failed = database.transact(({ afterCommit }) => {
      afterCommit(() => told.push('rolled back'));
      return Promise.reject(new Error('no'));
    });
    await expect(failed).rejects.toThrow('no');
    expect(told).toEqual(['committed']);
  });

  onSqlite('makes every commit durable before it is acknowledged', async () => {
    const [row] = await database.transact(({ manager }) =>
      manager.query<[{ synchronous: number }]>('PRAGMA synchronous'),
    );
    expect(row.synchronous).toBe(2);
  });

  it('has exactly the tables that the entities describe, and undoes its migrations', async () => {
    await using source = await connectIn(folder, dataModel);
    if (DATABASE_KIND === 'postgres') {
      // Entities do not say how text is compared: migrations/portable-tables.ts does.
      for (const { columns } of source.entityMetadatas) {
        for (const column of columns)
          if (['varchar', 'text', 'simple-json'].includes(String(column.type))) column.collation = 'C';
      }
    }
    const drift = await source.driver.createSchemaBuilder().log();
    expect(drift.upQueries.map((query) => query.query)).toEqual([]);
    for (let left = dataModel.migrations.length; left > 0; left -= 1) await source.undoLastMigration();
    const tables = {
      sqlite: `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`,
      postgres: `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'
        UNION SELECT routine_name FROM information_schema.routines WHERE routine_schema = 'public'`,
    };
    expect(await source.query(tables[DATABASE_KIND])).toEqual([{ name: 'migrations' }]);
  });

  it('sorts text as JavaScript sorts it by the bytes of UTF-8', async () => {
    const ids = ['Z', 'a', 'é', '\uffee', '😀', 'a\u0001', 'ab', ''];
    for (const id of ids) await insert(`x${id}`);
    const rows = await database.reader.query<{ id: string }[]>('SELECT "id" FROM "profiles" ORDER BY "id"');
    expect(rows.map((row) => row.id)).toEqual(ids.map((id) => `x${id}`).sort(compareUtf8));
  });
});
