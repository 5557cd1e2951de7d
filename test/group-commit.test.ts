import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import 'reflect-metadata';
import { DataSource, type EntityManager } from 'typeorm';
import { createWriter } from '../src/group-commit.js';
import { quietSqlite } from '../src/quiet-sqlite.js';

describe('pieces of work that share a commit', () => {
  let folder: string;
  let source: DataSource;
  let other: DataSource;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-group-commit-'));
    const open = async () => {
      const opened = new DataSource({
        type: 'sqlite',
        database: join(folder, 'some.db'),
        driver: quietSqlite,
        enableWAL: true,
      });
      await opened.initialize();
      // Nobody waits for a lock here.
      await opened.query('PRAGMA busy_timeout = 0');
      return opened;
    };
    source = await open();
    await source.query('CREATE TABLE "names" ("name" varchar PRIMARY KEY)');
    await source.query(
      'CREATE TABLE "ages" ("name" varchar REFERENCES "names" ("name") DEFERRABLE INITIALLY DEFERRED)',
    );
    other = await open();
  });

  afterEach(async () => {
    await other.destroy();
    await source.destroy();
    rmSync(folder, { recursive: true });
  });

  const insert = (name: string) => (manager: EntityManager) =>
    manager.query('INSERT INTO "names" VALUES ($1)', [name]);
  const names = async () =>
    (await other.query<{ name: string }[]>('SELECT "name" FROM "names" ORDER BY "name"')).map(
      ({ name }) => name,
    );
  const nothing = () => undefined;

  it('are refused one by one while none can begin, and go on when they can', async () => {
    const write = createWriter(source);
    await other.query('BEGIN IMMEDIATE');
    const refused = await Promise.allSettled([write(insert('a'), nothing), write(insert('b'), nothing)]);
    expect(refused).toMatchObject([
      { reason: { message: expect.stringContaining('locked') as string } },
      { reason: { message: expect.stringContaining('locked') as string } },
    ]);
    await other.query('COMMIT');

    await write(insert('c'), nothing);
    expect(await names()).toEqual(['c']);
  });

  it('go on after a group that had its lock and could not begin its first piece', async () => {
    const write = createWriter(source);
    const connection = (await source.createQueryRunner().connect()) as { exec: Exec };
    const exec = connection.exec.bind(connection);
    // Nothing in SQLite's reach makes just the savepoint fail, but a lack of memory would.
    connection.exec = (sql, done) => {
      connection.exec = exec;
      exec(sql.replace('SAVEPOINT', 'SAVE A POINT'), done);
    };
    await expect(write(insert('a'), nothing)).rejects.toThrow('syntax error');

    await write(insert('b'), nothing);
    expect(await names()).toEqual(['b']);
  });

  it('are all refused when their commit fails, tell nobody, and leave the way free', async () => {
    const write = createWriter(source);
    const told: string[] = [];
    const orphan = (manager: EntityManager) => manager.query(`INSERT INTO "ages" VALUES ('nobody')`);
    const results = await Promise.allSettled([
      write(insert('a'), () => told.push('a')),
      write(orphan, () => told.push('orphan')),
      write(insert('c'), () => told.push('c')),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(told).toEqual([]);
    expect(await names()).toEqual([]);

    await write(insert('d'), () => told.push('d'));
    expect({ told, names: await names() }).toEqual({ told: ['d'], names: ['d'] });
  });

  it('are refused together when SQLite has rolled all of them back by itself', async () => {
    const write = createWriter(source);
    const rollBack = (manager: EntityManager) =>
      manager.query(`INSERT OR ROLLBACK INTO "names" VALUES ('a')`);
    const results = await Promise.allSettled([
      write(insert('a'), nothing),
      write(rollBack, nothing),
      write(insert('c'), nothing),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
    expect(await names()).toEqual(['c']);
  });
});

type Exec = (sql: string, done: (error: Error | null) => void) => void;
