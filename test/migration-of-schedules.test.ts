import 'reflect-metadata';
import { openDatabase } from '../src/open-database.js';
import { ExportSchedule } from '../src/entities/export-schedule.js';
import { Segment } from '../src/entities/segment.js';
import { FirstTables1795469000000 } from '../src/migrations/1795469000000-first-tables.js';
import { emptyDatabaseIn, openIn } from './helpers/databases.js';
import { temporaryFolder } from './helpers/sluice.js';

const SEGMENT = `INSERT INTO "segments" ("id", "name", "kind", "state", "memberCount", "createdAt")
  VALUES ('s', 'Readers', 'STATIC', 'ACTIVE', 5, '2026-01-05T06:00:00.000Z')`;
const EXPORT = `INSERT INTO "exports" ("id", "name", "list", "account", "mapping", "leavers", "leaverHoldPercent",
    "runAutomations", "createdAt", "updatedAt")
  VALUES ('e', 'Readers', '{"id":"1","name":"Newsletter"}', 'a', '{"email":"email"}', 'KEEP', 20, TRUE,
    '2026-01-05T06:00:00.000Z', '2026-01-05T06:00:00.000Z')`;

describe('a database from before there were schedules', () => {
  it('keeps its segments, and its exports follow every refresh', async () => {
    await using folder = await temporaryFolder();
    const before = await openDatabase(await emptyDatabaseIn(folder.path), {
      entities: [],
      migrations: [FirstTables1795469000000],
    });
    await before.transact(async ({ manager }) => {
      await manager.query(SEGMENT);
      await manager.query(EXPORT);
    });
    await before.close();

    const database = await openIn(folder.path);
    expect(await database.reader.find(Segment)).toMatchObject([
      { id: 's', name: 'Readers', memberCount: 5, rule: null },
    ]);
    expect(await database.reader.find(ExportSchedule)).toMatchObject([
      { exportId: 'e', enabled: true, recurrence: 'EVERY_REFRESH', cron: null, timeZone: null, dueAt: null },
    ]);
    await database.close();
  });
});
