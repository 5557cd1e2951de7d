import { systemClock } from '../src/clock.js';
import { createScheduler } from '../src/jobs/scheduler.js';
import { openBeside, servicesBeside } from './helpers/beside.js';
import { createCalendar } from './helpers/calendar.js';
import { exportOf, finish, people, startEngine, stoppedTime } from './helpers/engine.js';
import { connectedConnection, startRun } from './helpers/flows.js';
import { startTestSandbox } from './helpers/sandbox.js';
import {
  enable,
  runs,
  RUN,
  schedule,
  scheduledExport,
  scheduleOf,
  type RunAnswer,
} from './helpers/schedule-calls.js';
import { startSluice, temporaryFolder, type Sluice } from './helpers/sluice.js';

const HOUR_MS = 3_600_000;

/** Waits until every run has ended. */
async function finishAll(sluice: Sluice): Promise<RunAnswer[]> {
  for (const { id } of await runs(sluice)) await finish(sluice, id);
  return runs(sluice);
}

describe('the schedule of an export', () => {
  it('is on and follows every refresh, unless something else is wished', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    const id = await exportOf(engine, people(1));
    expect(await scheduleOf(sluice, id)).toEqual({
      enabled: true,
      recurrence: 'EVERY_REFRESH',
      cron: null,
      timeZone: null,
      nextRunAt: null,
      upcoming: [],
    });
  });

  it('shows the next five due times, and starts one run at each', async () => {
    const calendar = createCalendar('2026-01-05T06:00:00Z');
    await using engine = await startEngine({ sluice: calendar.options });
    const { sluice } = engine;
    const id = await scheduledExport(engine, '30 7 * * MON-FRI', 'Europe/Prague');
    expect(await scheduleOf(sluice, id)).toEqual({
      enabled: true,
      recurrence: 'CRON',
      cron: '30 7 * * MON-FRI',
      timeZone: 'Europe/Prague',
      nextRunAt: '2026-01-05T06:30:00.000Z',
      upcoming: [5, 6, 7, 8, 9].map((day) => `2026-01-0${day}T06:30:00.000Z`),
    });
    await calendar.turnTo('2026-01-05T06:29:58Z');
    expect(await runs(sluice)).toEqual([]);
    await calendar.turnTo('2026-01-05T06:30:00Z');
    await calendar.tick();
    expect(await finishAll(sluice)).toMatchObject([
      { trigger: 'SCHEDULE', state: 'SUCCEEDED', requestedBy: null },
    ]);
    await calendar.turnTo('2026-01-06T06:29:58Z');
    expect(await runs(sluice)).toHaveLength(1);
    await calendar.turnTo('2026-01-06T06:30:01Z');
    expect(await finishAll(sluice)).toHaveLength(2);
    expect((await scheduleOf(sluice, id)).nextRunAt).toBe('2026-01-07T06:30:00.000Z');
  });

  it.each([
    // The clocks go forward: the time does not exist.
    ['Europe/Prague', '30 2 * * *', '2026-03-28T22:00:00Z', '2026-03-29T01:00'],
    ['America/New_York', '30 2 * * *', '2026-03-08T04:00:00Z', '2026-03-08T07:00'],
    ['Australia/Lord_Howe', '15 2 * * *', '2026-10-03T12:30:00Z', '2026-10-03T15:30'],
    // They go back: it exists twice.
    ['Europe/Prague', '30 2 * * *', '2026-10-24T22:00:00Z', '2026-10-25T00:30'],
    ['America/New_York', '30 1 * * *', '2026-11-01T04:00:00Z', '2026-11-01T05:30'],
    ['Australia/Lord_Howe', '45 1 * * *', '2026-04-04T12:00:00Z', '2026-04-04T14:45'],
  ])(
    'runs once in the night in which the clocks change: %s, %s from %s',
    async (zone, cron, from, expected) => {
      const calendar = createCalendar(from);
      await using engine = await startEngine({ sluice: calendar.options });
      const { sluice } = engine;
      await scheduledExport(engine, cron, zone);
      for (let minute = 0; minute <= 6 * 60; minute += 15) {
        await calendar.turnTo(new Date(Date.parse(from) + minute * 60_000).toISOString());
        await finishAll(sluice);
      }
      expect((await runs(sluice)).map(({ queuedAt }) => queuedAt.slice(0, 16))).toEqual([expected]);
    },
  );

  it('starts one run after the server was down for days, and none when nothing fell due', async () => {
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox();
    const before = createCalendar('2026-01-05T06:00:00Z');
    const server = { sandbox, folder: folder.path };
    {
      await using sluice = await startSluice({ ...server, ...before.options });
      const connectionId = await connectedConnection(sluice, sandbox);
      const ids = [
        await exportOf({ sluice, connectionId }, people(2), { name: 'hourly' }),
        await exportOf({ sluice, connectionId }, people(2), { name: 'monthly' }),
      ];
      await schedule(sluice, ids.slice(0, 1), { enabled: true, recurrence: 'CRON', cron: '0 * * * *' });
      await schedule(sluice, ids.slice(1), { enabled: true, recurrence: 'CRON', cron: '0 0 1 * *' });
    }
    const after = createCalendar('2026-01-08T06:30:00Z');
    await using sluice = await startSluice({ ...server, ...after.options });
    expect(await finishAll(sluice)).toMatchObject([{ trigger: 'SCHEDULE', state: 'SUCCEEDED' }]);
    await after.turnTo('2026-01-08T06:59:00Z');
    expect(await runs(sluice)).toHaveLength(1);
    await after.turnTo('2026-01-08T07:00:00Z');
    expect(await finishAll(sluice)).toHaveLength(2);
  });

  it('starts one run, also when several processes look at the same moment', async () => {
    const calendar = createCalendar('2026-01-05T06:00:00Z');
    await using engine = await startEngine({ sluice: calendar.options });
    const { sluice } = engine;
    await scheduledExport(engine, '0 7 * * *');
    const others = await Promise.all(
      [1, 2, 3].map(async () => {
        const database = await openBeside(sluice);
        const { clock, ticker, tick } = createCalendar('2026-01-05T07:00:00Z');
        const nobody = () => Promise.reject(new Error('No refresh is expected here.'));
        const refresher = { start: nobody, request: nobody, stop: nobody, begin: nobody };
        const services = { ...servicesBeside(database), clock, ticker, refresher, chores: [] };
        const scheduler = createScheduler(services);
        return { database, scheduler, tick };
      }),
    );
    await Promise.all([
      calendar.turnTo('2026-01-05T07:00:00Z'),
      ...others.map(({ scheduler }) => scheduler.start()),
    ]);
    await Promise.all([calendar.tick(), ...others.map(({ tick }) => tick())]);
    for (const { database, scheduler } of others) {
      await scheduler.stop();
      await database.close();
    }
    expect(await runs(sluice)).toHaveLength(1);
    // It may be that of a process that has no queue: the next run takes it along.
    const [run] = await runs(sluice);
    await sluice.query('mutation ($id: ID!) { cancelExportRun(id: $id) { id } }', { id: run?.id });
    await finishAll(sluice);
  });

  it('does not let runs overlap: one is active and one queued, whatever falls due meanwhile', async () => {
    const calendar = createCalendar('2026-01-05T06:00:00Z');
    const time = stoppedTime();
    await using engine = await startEngine({ sandbox: time.sandbox, sluice: calendar.options });
    const { sluice, sandbox } = engine;
    await scheduledExport(engine, '0 * * * *');
    const accepted = sandbox.next('accepted');
    await calendar.turnTo('2026-01-05T07:00:00Z');
    await accepted;
    await calendar.turnTo('2026-01-05T08:00:00Z');
    await calendar.turnTo('2026-01-05T09:00:00Z');
    expect((await runs(sluice)).map(({ state }) => state)).toEqual(['RUNNING', 'QUEUED']);
    time.letGo();
    await finishAll(sluice);
  });

  it('can be switched off and on again; what fell due meanwhile is not made up', async () => {
    const calendar = createCalendar('2026-01-05T06:00:00Z');
    await using engine = await startEngine({ sluice: calendar.options });
    const { sluice } = engine;
    const id = await scheduledExport(engine, '0 * * * *');
    await enable(sluice, [id], false);
    expect(await scheduleOf(sluice, id)).toMatchObject({
      enabled: false,
      cron: '0 * * * *',
      nextRunAt: null,
      upcoming: [],
    });
    await calendar.turnTo('2026-01-05T08:30:00Z');
    await enable(sluice, [id], true);
    await calendar.tick();
    expect(await runs(sluice)).toEqual([]);
    await calendar.turnTo('2026-01-05T09:00:00Z');
    expect(await finishAll(sluice)).toHaveLength(1);
  });

  it('is set for several exports at once, all or none; switching them leaves each its own', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    const [a, b] = [await scheduledExport(engine, '0 1 * * *'), await scheduledExport(engine, '0 2 * * *')];
    await expect(enable(sluice, [a, 'nobody'], false)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await scheduleOf(sluice, a)).toMatchObject({ enabled: true });
    await enable(sluice, [a, b], false);
    expect(await scheduleOf(sluice, a)).toMatchObject({ enabled: false, cron: '0 1 * * *' });
    expect(await scheduleOf(sluice, b)).toMatchObject({ enabled: false, cron: '0 2 * * *' });
    const wish = { enabled: true, recurrence: 'CRON', cron: '0 3 * * *', timeZone: 'Asia/Tokyo' };
    await expect(schedule(sluice, [a, 'nobody'], wish)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await schedule(sluice, [a, b], wish);
    expect(await scheduleOf(sluice, a)).toMatchObject(wish);
    expect(await scheduleOf(sluice, b)).toMatchObject(wish);
    await schedule(sluice, [a], { enabled: true });
    expect(await scheduleOf(sluice, a)).toMatchObject({
      recurrence: 'EVERY_REFRESH',
      cron: null,
      timeZone: null,
    });
  });

  it.each([
    [{ recurrence: 'CRON' }, 'schedule.cron', 'has 0 fields'],
    [{ recurrence: 'CRON', cron: '* * * * *' }, 'schedule.cron', 'faster than every 5 minutes'],
    [{ recurrence: 'CRON', cron: '0 25 * * *' }, 'schedule.cron', 'cannot be read'],
    [
      { recurrence: 'CRON', cron: '0 7 * * *', timeZone: 'Europe/Pragu' },
      'schedule.timeZone',
      'There is no time zone',
    ],
    [{ cron: '0 7 * * *' }, 'schedule.cron', 'follows every refresh has no cron'],
    [{ timeZone: 'UTC' }, 'schedule.timeZone', 'follows every refresh has no timeZone'],
  ])(
    'that cannot be is refused when an export is made, changed or scheduled: %j',
    async (wish, field, message) => {
      await using engine = await startEngine();
      const { sluice, connectionId } = engine;
      const id = await exportOf(engine, people(1));
      const input = { enabled: true, ...wish };
      const refusal = {
        code: 'BAD_USER_INPUT',
        failures: [{ message: expect.stringContaining(message) as unknown, extensions: { field } }],
      };
      await expect(schedule(sluice, [id], input)).rejects.toMatchObject(refusal);
      await expect(exportOf({ sluice, connectionId }, people(1), { schedule: input })).rejects.toMatchObject(
        refusal,
      );
      await expect(
        sluice.query(
          'mutation ($id: ID!, $input: UpdateExportInput!) { updateExport(id: $id, input: $input) { id } }',
          {
            id,
            input: { schedule: input },
          },
        ),
      ).rejects.toMatchObject(refusal);
    },
  );

  it('comes with an export, changes with it, is copied with it and goes with it', async () => {
    const calendar = createCalendar('2026-01-05T06:00:00Z');
    await using engine = await startEngine({ sluice: calendar.options });
    const { sluice } = engine;
    const wish = { enabled: true, recurrence: 'CRON', cron: '0 7 * * *', timeZone: 'UTC' };
    const id = await exportOf(engine, people(1), { schedule: wish });
    expect(await scheduleOf(sluice, id)).toMatchObject(wish);
    const { duplicateExport } = await sluice.query<{ duplicateExport: { id: string } }>(
      'mutation ($id: ID!) { duplicateExport(id: $id, name: "Copy") { id } }',
      { id },
    );
    expect(await scheduleOf(sluice, duplicateExport.id)).toMatchObject({
      ...wish,
      nextRunAt: '2026-01-05T07:00:00.000Z',
    });
    await sluice.query(
      `mutation ($id: ID!) {
        updateExport(id: $id, input: { schedule: { enabled: true, recurrence: CRON, cron: "0 8 * * *" } }) { id }
      }`,
      { id },
    );
    expect(await scheduleOf(sluice, id)).toMatchObject({ nextRunAt: '2026-01-05T08:00:00.000Z' });
    await sluice.query('mutation ($id: ID!) { removeExport(id: $id) }', { id });
    await calendar.turnTo('2026-01-05T08:00:00Z');
    expect(await finishAll(sluice)).toMatchObject([{ export: { id: duplicateExport.id } }]);
  });

  it('notes a SKIPPED run with the reason when the export cannot run, and nothing when it is detached', async () => {
    const calendar = createCalendar('2026-01-05T06:00:00Z');
    await using engine = await startEngine({ sluice: calendar.options });
    const { sluice, connectionId } = engine;
    const id = await scheduledExport(engine, '0 * * * *');
    await sluice.query('mutation ($id: ID!) { withdrawConsent(connectionId: $id) { id } }', {
      id: connectionId,
    });
    await calendar.turnTo('2026-01-05T07:00:00Z');
    const skipped = { trigger: 'SCHEDULE', state: 'SKIPPED', problem: { code: 'CONSENT_REQUIRED' } };
    expect(await runs(sluice)).toMatchObject([skipped]);
    await sluice.query('mutation ($ids: [ID!]!) { detachExports(ids: $ids) { id } }', { ids: [id] });
    await calendar.turnTo('2026-01-05T08:00:00Z');
    expect(await runs(sluice)).toHaveLength(1);
    expect((await scheduleOf(sluice, id)).nextRunAt).toBe('2026-01-05T09:00:00.000Z');
  });
});

describe('a schedule that cannot be worked out', () => {
  it('keeps no other export from starting', async () => {
    const calendar = createCalendar('2026-01-05T06:00:00Z');
    await using engine = await startEngine({ sluice: calendar.options });
    const { sluice } = engine;
    const broken = await scheduledExport(engine, '0 7 * * *');
    const sound = await scheduledExport(engine, '0 7 * * MON');
    {
      await using database = await openBeside(sluice);
      const sql = `UPDATE "export_schedules" SET "cron" = 'nonsense' WHERE "exportId" = $1`;
      await database.transact(({ manager }) => manager.query(sql, [broken]));
    }
    await calendar.turnTo('2026-01-05T07:00:00Z');
    expect(await finishAll(sluice)).toMatchObject([{ export: { id: sound } }]);
    expect(sluice.log).toContainEqual(
      expect.objectContaining({ msg: 'starting a due export failed; it is tried again at the next tick' }),
    );
  });
});

describe('runAllExports', () => {
  it('runs those whose schedule is on, whatever it is; runExport runs any', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    const follower = await exportOf(engine, people(2), { name: 'follower' });
    const own = await scheduledExport(engine, '0 7 1 1 *');
    const off = await exportOf(engine, people(2), { name: 'off', schedule: { enabled: false } });
    const detached = await exportOf(engine, people(2), { name: 'detached' });
    await sluice.query('mutation ($ids: [ID!]!) { detachExports(ids: $ids) { id } }', { ids: [detached] });
    const { runAllExports } = await sluice.query<{ runAllExports: RunAnswer[] }>(
      `mutation { runAllExports { ${RUN} } }`,
    );
    const requested = { trigger: 'RUN_ALL', requestedBy: { displayName: 'Administrator' } };
    expect(runAllExports).toMatchObject([
      { ...requested, export: { id: follower } },
      { ...requested, export: { id: own } },
    ]);
    for (const { id } of runAllExports)
      expect(await finish(sluice, id)).toMatchObject({ state: 'SUCCEEDED' });
    expect(await finish(sluice, await startRun(sluice, off))).toMatchObject({ state: 'SUCCEEDED' });
  });

  it('lets one that cannot run keep nobody else from it', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    const able = await exportOf(engine, people(2));
    const other = { sluice, connectionId: await connectedConnection(sluice, sandbox) };
    const unable = await exportOf(other, people(2), { name: 'unable' });
    await sluice.query('mutation ($id: ID!) { withdrawConsent(connectionId: $id) { id } }', {
      id: other.connectionId,
    });
    const { runAllExports } = await sluice.query<{ runAllExports: RunAnswer[] }>(
      `mutation { runAllExports { ${RUN} } }`,
    );
    expect(runAllExports).toMatchObject([
      { export: { id: able }, problem: null },
      { export: { id: unable }, state: 'SKIPPED', problem: { code: 'CONSENT_REQUIRED' } },
    ]);
    await finishAll(sluice);
  });
});

describe('the ticking clock', () => {
  it('starts what is due without anybody asking', async () => {
    let aheadMs = 0;
    const clock = { ...systemClock, now: () => Date.now() + aheadMs };
    await using engine = await startEngine({ sluice: { clock } });
    const { sluice } = engine;
    const events = sluice.subscribe<{ exportRunChanged: RunAnswer }>(
      `subscription { exportRunChanged { ${RUN} } }`,
    );
    const first = events.next();
    await scheduledExport(engine, '0 7 1 1 *');
    aheadMs = 366 * 24 * HOUR_MS;
    expect((await first).value).toMatchObject({ exportRunChanged: { trigger: 'SCHEDULE' } });
    await events.return(undefined);
    await finishAll(sluice);
  });
});
