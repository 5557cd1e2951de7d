import 'reflect-metadata';
import type { DataSource } from 'typeorm';
import { dataModel } from '../src/server/data-model.js';
import { connectIn, DATABASE_KIND, emptyDatabaseIn, onPostgres } from './helpers/databases.js';
import { startProgram, type Program } from './helpers/program.js';
import { temporaryFolder } from './helpers/sluice.js';

/** A destination that nobody calls here. */
const NOWHERE = { host: '127.0.0.1:1' };
const REPLICAS = 5;
const PATIENCE_MS = 120_000;

/** What differs between the tables and what the entities describe. */
async function driftOf(source: DataSource): Promise<string[]> {
  if (DATABASE_KIND === 'postgres') {
    // Entities do not say how text is compared: migrations/portable-tables.ts does.
    for (const { columns } of source.entityMetadatas) {
      for (const column of columns)
        if (['varchar', 'text', 'simple-json'].includes(String(column.type))) column.collation = 'C';
    }
  }
  const drift = await source.driver.createSchemaBuilder().log();
  return drift.upQueries.map(({ query }) => query);
}

/** Whether a migration is noted exactly once, and its tables are there. */
async function expectUpToDate(folder: string): Promise<void> {
  await using source = await connectIn(folder, dataModel);
  const noted = await source.query<{ name: string }[]>(
    'SELECT "name" FROM "migrations" ORDER BY "timestamp"',
  );
  expect(noted.map(({ name }) => name)).toEqual(dataModel.migrations.map(({ name }) => name));
  expect(await driftOf(source)).toEqual([]);
}

async function expectAnswers({ sluice }: Program): Promise<void> {
  expect(await sluice.query('{ me { displayName } }')).toEqual({ me: { displayName: 'Administrator' } });
}

async function stopAll(programs: readonly Program[]): Promise<void> {
  await Promise.all(programs.map((program) => program[Symbol.asyncDispose]()));
}

describe('the migrations', () => {
  it('go up, down and up again, one by one', async () => {
    await using folder = await temporaryFolder();
    await emptyDatabaseIn(folder.path);
    await using source = await connectIn(folder.path, dataModel);
    await source.runMigrations({ transaction: 'each' });
    expect(await driftOf(source)).toEqual([]);
    for (let back = 1; back <= dataModel.migrations.length; back += 1) {
      for (let steps = back; steps > 0; steps -= 1) await source.undoLastMigration();
      const again = await source.runMigrations({ transaction: 'each' });
      expect(again).toHaveLength(back);
    }
    expect(await driftOf(source)).toEqual([]);
  });

  it.each([
    ['a table', 'migrating', 1],
    ['a later statement', 'migrating', 12],
    ['the end of a migration', 'before the commit of the migration', 1],
    ['the next, one being done,', 'after the commit of the migration', 1],
  ])(
    'go on after a kill before %s',
    async (_what, point, nth) => {
      await using folder = await temporaryFolder();
      await emptyDatabaseIn(folder.path);
      await expect(startProgram(folder.path, NOWHERE, { death: { point, nth } })).rejects.toThrow(
        'It ended with code null before it listened.',
      );
      await using program = await startProgram(folder.path, NOWHERE);
      await expectAnswers(program);
      await program.kill('SIGTERM');
      await expectUpToDate(folder.path);
    },
    PATIENCE_MS,
  );

  onPostgres(
    `are done once when ${REPLICAS} processes start at the same time`,
    async () => {
      await using folder = await temporaryFolder();
      await emptyDatabaseIn(folder.path);
      const replicas = Array.from({ length: REPLICAS }, () => startProgram(folder.path, NOWHERE));
      const programs = await Promise.all(replicas);
      await Promise.all(programs.map(expectAnswers));
      await stopAll(programs);
      await expectUpToDate(folder.path);
    },
    PATIENCE_MS,
  );

  onPostgres(
    'are done by those who wait for one that is killed while it is at them',
    async () => {
      await using folder = await temporaryFolder();
      await emptyDatabaseIn(folder.path);
      await using source = await connectIn(folder.path);
      const waitingFor = async (event: string, count: number) => {
        const question = `SELECT COUNT(*)::int AS count FROM pg_stat_activity
          WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = $1`;
        const ask = async () => (await source.query<[{ count: number }]>(question, [event]))[0].count;
        while ((await ask()) < count) await new Promise(setImmediate);
      };
      // Its migrations cannot begin until the others wait for it.
      const runner = source.createQueryRunner();
      await runner.startTransaction();
      await runner.query('LOCK TABLE "migrations"');
      const death = { point: 'migrating', nth: 12 };
      const dying = expect(startProgram(folder.path, NOWHERE, { death })).rejects.toThrow(
        'It ended with code null',
      );
      await waitingFor('relation', 1);
      const others = Array.from({ length: REPLICAS - 1 }, () => startProgram(folder.path, NOWHERE));
      await waitingFor('advisory', REPLICAS - 1);
      await runner.commitTransaction();
      await runner.release();
      await dying;
      const programs = await Promise.all(others);
      await Promise.all(programs.map(expectAnswers));
      await stopAll(programs);
      await expectUpToDate(folder.path);
    },
    PATIENCE_MS,
  );
});
