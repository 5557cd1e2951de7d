import type { EntityManager } from 'typeorm';
import { systemClock } from '../src/clock.js';
import type { Database } from '../src/database.js';
import { Refresh, RefreshState, RefreshTrigger } from '../src/entities/refresh.js';
import type { Queue } from '../src/exports/queue.js';
import { createRefresher } from '../src/jobs/refresher.js';
import { beginRefresh } from '../src/jobs/refreshes.js';
import { workRefresh } from '../src/jobs/work-refresh.js';
import { createLogger } from '../src/logger.js';
import { openBetweenProcesses } from '../src/server/between-processes.js';
import { openBeside as beside, servicesBeside } from './helpers/beside.js';
import { createCalendar } from './helpers/calendar.js';
import { databaseIn, onPostgres, openIn } from './helpers/databases.js';
import { exportOf, finish, people, startEngine, type Engine } from './helpers/engine.js';
import { connectedConnection, createExportOf } from './helpers/flows.js';
import { startTestSandbox } from './helpers/sandbox.js';
import {
  enable,
  RUN,
  runs,
  schedule,
  scheduledExport,
  scheduleOf,
  type RunAnswer,
} from './helpers/schedule-calls.js';
import { startSluice, temporaryFolder, type Sluice } from './helpers/sluice.js';

const SCHEDULE = 'enabled frequency days times timeZone nextAt';
const DAILY = { enabled: true, frequency: 'DAILY', times: ['07:00'], timeZone: 'UTC' };

interface RefreshAnswer {
  readonly trigger: string;
  readonly state: string;
  readonly attempt: number;
  readonly startedAt: string;
  readonly finishedAt: string | null;
  readonly requestedBy: { readonly displayName: string } | null;
  readonly steps: readonly {
    readonly kind: string;
    readonly subjectId: string;
    readonly name: string;
    readonly state: string;
    readonly memberCount: number | null;
    readonly problem: { readonly code: string; readonly message: string } | null;
    readonly run: RunAnswer | null;
  }[];
}

async function refreshes(sluice: Sluice): Promise<RefreshAnswer[]> {
  const answer = await sluice.query<{ refreshes: { nodes: RefreshAnswer[] } }>(
    `{ refreshes(first: 20) { nodes {
      trigger state attempt startedAt finishedAt requestedBy { displayName }
      steps { kind subjectId name state memberCount problem { code message } run { ${RUN} } }
    } } }`,
  );
  return answer.refreshes.nodes;
}

async function setSchedule(sluice: Sluice, input: object): Promise<Record<string, unknown>> {
  const { setRefreshSchedule } = await sluice.query<{ setRefreshSchedule: Record<string, unknown> }>(
    `mutation ($input: RefreshScheduleInput!) { setRefreshSchedule(input: $input) { ${SCHEDULE} } }`,
    { input },
  );
  return setRefreshSchedule;
}

async function runRefresh(sluice: Sluice): Promise<RunAnswer[]> {
  const answer = await sluice.query<{ runRefresh: RunAnswer[] }>(`mutation { runRefresh { ${RUN} } }`);
  return answer.runRefresh;
}

async function segmentBy(sluice: Sluice, name: string, attribute = 'email'): Promise<string> {
  const rule = { attribute, operator: 'isNotEmpty' };
  const { createSegment } = await sluice.query<{ createSegment: { id: string } }>(
    'mutation ($input: CreateSegmentInput!) { createSegment(input: $input) { id } }',
    { input: { name, kind: 'DYNAMIC', rule } },
  );
  return createSegment.id;
}

async function exportFor(
  { sluice, connectionId }: Engine,
  name: string,
  segmentIds: string[],
): Promise<string> {
  return createExportOf(sluice, { connectionId, segmentIds, name, mapping: { email: 'email' } });
}

/** Waits until no refresh is under way, and answers all of them. */
async function settled(sluice: Sluice): Promise<RefreshAnswer[]> {
  for (;;) {
    const all = await refreshes(sluice);
    if (all.every(({ state }) => state !== 'RUNNING')) return all;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const INSERT_RUNNING = `INSERT INTO "refreshes" ("id", "trigger", "state", "attempt", "startedAt")
  VALUES ('r', 'SCHEDULE', 'RUNNING', 1, '2026-01-05T06:00:00.000Z')`;

/** A database that lets nobody go on after so many transactions, until it is opened. */
function createGate(database: Database, transactions: number) {
  const reached = Promise.withResolvers<undefined>();
  const opened = Promise.withResolvers<undefined>();
  let count = 0;
  const transact: Database['transact'] = async (...asked) => {
    const answer = await database.transact(...asked);
    count += 1;
    if (count === transactions) {
      reached.resolve(undefined);
      await opened.promise;
    }
    return answer;
  };
  return {
    database: { ...database, transact },
    reached: reached.promise,
    open: () => {
      opened.resolve(undefined);
    },
  };
}

describe('the system schedule', () => {
  it('is off at first', async () => {
    await using sluice = await startSluice();
    const { refreshSchedule } = await sluice.query<{ refreshSchedule: object }>(
      `{ refreshSchedule { ${SCHEDULE} } }`,
    );
    expect(refreshSchedule).toEqual({
      enabled: false,
      frequency: 'DAILY',
      days: [],
      times: [],
      timeZone: 'UTC',
      nextAt: null,
    });
  });

  it('is daily or weekly, up to four times a day, in a time zone', async () => {
    const calendar = createCalendar('2026-01-05T12:00:00Z'); // a Monday
    await using sluice = await startSluice(calendar.options);
    const times = ['19:30', '07:00', '07:00', '12:59', '00:15'];
    expect(await setSchedule(sluice, { ...DAILY, times, timeZone: 'Europe/Prague' })).toEqual({
      enabled: true,
      frequency: 'DAILY',
      days: [],
      times: ['00:15', '07:00', '12:59', '19:30'],
      timeZone: 'Europe/Prague',
      nextAt: '2026-01-05T18:30:00.000Z',
    });
    const weekly = { ...DAILY, frequency: 'WEEKLY', days: ['SUNDAY', 'WEDNESDAY'] };
    expect(await setSchedule(sluice, weekly)).toMatchObject({
      days: ['WEDNESDAY', 'SUNDAY'],
      nextAt: '2026-01-07T07:00:00.000Z',
    });
    expect(await setSchedule(sluice, { ...DAILY, enabled: false, times: [] })).toMatchObject({
      nextAt: null,
    });
  });

  it.each([
    [{ times: [] }, 'times', 'There are 0 times'],
    [{ times: ['01:00', '02:00', '03:00', '04:00', '05:00'] }, 'times', 'There are 5 times'],
    [{ times: ['24:00'] }, 'times', '"24:00" is no time of day'],
    [{ times: ['7:00'] }, 'times', '"7:00" is no time of day'],
    [{ days: ['MONDAY'] }, 'days', 'A daily schedule has no days'],
    [{ frequency: 'WEEKLY' }, 'days', 'needs at least one day'],
    [{ timeZone: 'Mars/Olympus' }, 'timeZone', 'There is no time zone'],
  ])('that cannot be is refused: %j', async (wish, field, message) => {
    await using sluice = await startSluice();
    await expect(setSchedule(sluice, { ...DAILY, ...wish })).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      failures: [{ message: expect.stringContaining(message) as unknown, extensions: { field } }],
    });
  });

  it('refreshes when it is due, once, and shows exports that follow when they run', async () => {
    const calendar = createCalendar('2026-01-05T06:00:00Z');
    await using engine = await startEngine({ sluice: calendar.options });
    const { sluice } = engine;
    const id = await exportOf(engine, people(2));
    await setSchedule(sluice, { ...DAILY, times: ['07:00', '19:00'] });
    expect(await scheduleOf(sluice, id)).toMatchObject({
      nextRunAt: '2026-01-05T07:00:00.000Z',
      upcoming: ['05T07', '05T19', '06T07', '06T19', '07T07'].map((hour) => `2026-01-${hour}:00:00.000Z`),
    });
    await calendar.turnTo('2026-01-05T07:00:00Z');
    await calendar.tick();
    expect(await settled(sluice)).toMatchObject([
      {
        trigger: 'SCHEDULE',
        state: 'SUCCEEDED',
        attempt: 1,
        requestedBy: null,
        finishedAt: expect.any(String) as unknown,
      },
    ]);
    const [run] = await runs(sluice);
    expect(run).toMatchObject({ trigger: 'REFRESH', requestedBy: null, export: { id } });
    expect(await finish(sluice, run?.id ?? '')).toMatchObject({ state: 'SUCCEEDED' });
  });

  it('makes one refresh of all that fell due while the server was down', async () => {
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox();
    const calendar = createCalendar('2026-01-05T06:00:00Z');
    {
      await using sluice = await startSluice({ sandbox, folder: folder.path, ...calendar.options });
      await setSchedule(sluice, DAILY);
    }
    const later = createCalendar('2026-01-09T12:00:00Z');
    await using sluice = await startSluice({ sandbox, folder: folder.path, ...later.options });
    await later.tick();
    expect(await settled(sluice)).toHaveLength(1);
  });
});

describe('a refresh', () => {
  it('evaluates the dynamic segments, then queues the exports that follow and are on', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    const staticExport = await exportOf(engine, people(2), { name: 'static' });
    const segment = await segmentBy(sluice, 'Everybody');
    const inactive = await segmentBy(sluice, 'Inactive');
    await sluice.query('mutation ($id: ID!) { setSegmentState(id: $id, state: INACTIVE) { id } }', {
      id: inactive,
    });
    const dynamicExport = await exportFor(engine, 'dynamic', [segment]);
    await enable(sluice, [await exportFor(engine, 'off', [segment])], false);
    await scheduledExport(engine, '0 7 1 1 *');
    await sluice.query('mutation ($ids: [ID!]!) { detachExports(ids: $ids) { id } }', {
      ids: [await exportFor(engine, 'detached', [segment])],
    });
    await sluice.importCsv(people(3));

    const queued = await runRefresh(sluice);
    const asked = { trigger: 'REFRESH', requestedBy: { displayName: 'Administrator' } };
    expect(queued).toMatchObject([
      { ...asked, export: { id: staticExport } },
      { ...asked, export: { id: dynamicExport } },
    ]);
    const [first, second] = queued;
    expect(await finish(sluice, first?.id ?? '')).toMatchObject({ progress: { members: 2 } });
    expect(await finish(sluice, second?.id ?? '')).toMatchObject({ progress: { members: 3 } });
    expect([...sandbox.contacts()]).toHaveLength(3);
    expect(await refreshes(sluice)).toMatchObject([
      {
        trigger: 'ON_DEMAND',
        state: 'SUCCEEDED',
        requestedBy: { displayName: 'Administrator' },
        steps: [
          {
            kind: 'SEGMENT',
            subjectId: segment,
            name: 'Everybody',
            state: 'SUCCEEDED',
            memberCount: 3,
            run: null,
          },
          { kind: 'SEGMENT', subjectId: inactive, state: 'SKIPPED', problem: { code: 'SEGMENT_INACTIVE' } },
          {
            kind: 'EXPORT',
            subjectId: staticExport,
            name: 'static',
            state: 'SUCCEEDED',
            run: { id: first?.id },
          },
          {
            kind: 'EXPORT',
            subjectId: dynamicExport,
            name: 'dynamic',
            state: 'SUCCEEDED',
            run: { id: second?.id },
          },
        ],
      },
    ]);
  });

  it('does not show a value of a rule that cannot be used any more', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    await sluice.importCsv(people(2));
    await segmentBy(sluice, 'Broken', 'email');
    {
      // As an earlier version may have stored it.
      await using database = await beside(sluice);
      const rule = { attribute: 'email', operator: 'greaterThan', as: 'number', value: 'ann@example.com' };
      await database.transact(({ manager }) =>
        manager.query(`UPDATE "segments" SET "rule" = $1`, [JSON.stringify(rule)]),
      );
    }
    await runRefresh(sluice);
    const [refresh] = await refreshes(sluice);
    const [step] = refresh?.steps ?? [];
    expect(step?.problem).toMatchObject({
      code: 'SEGMENT_FAILED',
      message: 'The segment "Broken" could not be evaluated. A value of its rule cannot be used.',
    });
    expect(JSON.stringify(refresh)).not.toContain('ann@');
  });

  it('leaves the exports of a segment that fails SKIPPED with the reason; the others run', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    await sluice.importCsv(people(2));
    await sluice.importCsv('id,vanishing\n1,x\n');
    const broken = await segmentBy(sluice, 'Broken', 'vanishing');
    const sound = await segmentBy(sluice, 'Sound');
    const skipped = await exportFor(engine, 'skipped', [sound, broken]);
    const runs_ = await exportFor(engine, 'runs', [sound]);
    {
      await using database = await beside(sluice);
      await database.transact(({ manager }) =>
        manager.query(`DELETE FROM "profile_attributes" WHERE "name" = 'vanishing'`),
      );
    }
    const queued = await runRefresh(sluice);
    expect(queued).toMatchObject([
      {
        state: 'SKIPPED',
        export: { id: skipped },
        problem: {
          code: 'SEGMENT_FAILED',
          message:
            'The segment "Broken" could not be evaluated. No profile has an attribute named "vanishing".',
        },
      },
      { export: { id: runs_ }, problem: null },
    ]);
    expect(await finish(sluice, queued[1]?.id ?? '')).toMatchObject({
      state: 'SUCCEEDED',
      progress: { members: 2 },
    });
    expect([...sandbox.contacts()]).toHaveLength(2);
    expect(await refreshes(sluice)).toMatchObject([
      {
        state: 'SUCCEEDED_WITH_WARNINGS',
        steps: [
          { subjectId: broken, state: 'FAILED', problem: { code: 'SEGMENT_FAILED' } },
          { subjectId: sound, state: 'SUCCEEDED' },
          { subjectId: skipped, state: 'SKIPPED', problem: { code: 'SEGMENT_FAILED' } },
          { subjectId: runs_, state: 'SUCCEEDED' },
        ],
      },
    ]);
    // The segment keeps the members that it had.
    const { segment } = await sluice.query<{ segment: object }>(
      'query ($id: ID!) { segment(id: $id) { memberCount } }',
      {
        id: broken,
      },
    );
    expect(segment).toEqual({ memberCount: 1 });
  });

  it('is answered with everything that is known of it, its runs too, by a query that asks for no length', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    await exportOf(engine, people(1));
    const [run] = await runRefresh(sluice);
    await finish(sluice, run?.id ?? '');
    const ended = await sluice.query<{ refreshes: { nodes: RefreshAnswer[] } }>(
      `{ refreshes { totalCount pageInfo { hasNextPage endCursor } nodes {
        id trigger state attempt startedAt finishedAt requestedBy { id displayName }
        steps {
          kind subjectId name state memberCount startedAt finishedAt problem { code message remedy }
          run {
            id trigger state phase attempt queuedAt startedAt finishedAt cancelRequestedAt
            problem { code message remedy } requestedBy { id displayName }
            export { id name leavers list { id name } connection { id displayName state } }
            progress {
              sequence members skipped unchanged leavers toSend accepted confirmed rejected unconfirmed notSent
              percent ratePerMinute etaSeconds
            }
          }
        }
      } } }`,
    );
    expect(ended.refreshes.nodes).toMatchObject([{ steps: [{ run: { id: run?.id, state: 'SUCCEEDED' } }] }]);
  });

  it('is one of ten on a page unless another length is asked for', async () => {
    await using sluice = await startSluice();
    for (let count = 0; count < 11; count += 1) await runRefresh(sluice);
    const lengthOf = async (page: string) => {
      const { refreshes: found } = await sluice.query<{ refreshes: { nodes: unknown[] } }>(
        `{ refreshes${page} { nodes { id } } }`,
      );
      return found.nodes.length;
    };
    expect([await lengthOf(''), await lengthOf('(first: 11)')]).toEqual([10, 11]);
  });

  it('is joined by whoever asks while it is under way', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    await exportOf(engine, people(2));
    const answers = await Promise.all([1, 2, 3].map(() => runRefresh(sluice)));
    const ids = new Set(answers.map(([run]) => run?.id));
    expect(ids.size).toBe(1);
    expect(await refreshes(sluice)).toHaveLength(1);
    await finish(sluice, [...ids][0] ?? '');
  });

  it('is waited for by what falls due meanwhile', async () => {
    const calendar = createCalendar('2026-01-05T06:00:00Z');
    await using engine = await startEngine({ sluice: calendar.options });
    const { sluice } = engine;
    const id = await scheduledExport(engine, '0 7 * * *');
    await setSchedule(sluice, { ...DAILY, times: ['07:05'] });
    await using database = await beside(sluice);
    // Another process has one under way.
    await database.transact(({ manager }) => manager.query(INSERT_RUNNING));
    await calendar.turnTo('2026-01-05T07:10:00Z');
    expect(await runs(sluice)).toEqual([]);
    expect(await refreshes(sluice)).toHaveLength(1);
    expect((await scheduleOf(sluice, id)).nextRunAt).toBe('2026-01-05T07:00:00.000Z');
    // Saving the schedule again loses nothing.
    await schedule(sluice, [id], { enabled: true, recurrence: 'CRON', cron: '0 7 * * *', timeZone: 'UTC' });
    await setSchedule(sluice, { ...DAILY, times: ['07:05'] });
    await database.transact(({ manager }) => manager.query(`UPDATE "refreshes" SET "state" = 'SUCCEEDED'`));
    await calendar.tick();
    expect(await settled(sluice)).toHaveLength(2);
    await calendar.tick();
    expect(await runs(sluice)).toMatchObject([{ trigger: 'SCHEDULE', export: { id } }]);
    for (const run of await runs(sluice)) await finish(sluice, run.id);
    await calendar.tick();
    expect(await runs(sluice)).toHaveLength(1);
  });

  it('goes on after a restart where it was, and queues no export twice', async () => {
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox();
    const server = { sandbox, folder: folder.path };
    let exportIds: string[];
    let segmentId: string;
    {
      await using sluice = await startSluice(server);
      const connectionId = await connectedConnection(sluice, sandbox);
      const engine = { sluice, connectionId };
      exportIds = [
        await exportOf(engine, people(2), { name: 'queued before' }),
        await exportOf(engine, people(2), { name: 'to be queued' }),
      ];
      segmentId = await segmentBy(sluice, 'Everybody');
      // As a process leaves it that is killed after it has queued one of two exports.
      await using database = await beside(sluice);
      await database.transact(async ({ manager }) => {
        await manager.query(INSERT_RUNNING);
        const step = `INSERT INTO "refresh_steps" ("refreshId", "position", "kind", "subjectId", "name", "state")`;
        await manager.query(`${step} VALUES ('r', 0, 'SEGMENT', $1, 'Everybody', 'RUNNING')`, [segmentId]);
        await manager.query(`${step} VALUES ('r', 1, 'EXPORT', $1, 'queued before', 'SUCCEEDED')`, [
          exportIds[0],
        ]);
      });
    }
    await using sluice = await startSluice(server);
    expect(await settled(sluice)).toMatchObject([
      {
        state: 'SUCCEEDED',
        attempt: 2,
        steps: [
          { subjectId: segmentId, state: 'SUCCEEDED', memberCount: 2 },
          { subjectId: exportIds[0], run: null },
          { subjectId: exportIds[1], state: 'SUCCEEDED' },
        ],
      },
    ]);
    const all = await runs(sluice);
    expect(all).toMatchObject([{ trigger: 'REFRESH', export: { id: exportIds[1] } }]);
    for (const { id } of all) await finish(sluice, id);
  });

  onPostgres('goes on in another process when the one that works it stops', async () => {
    await using folder = await temporaryFolder();
    {
      await using engine = await startEngine({ sluice: { folder: folder.path } });
      await exportOf(engine, people(2));
      await segmentBy(engine.sluice, 'Everybody');
    }
    await using database = await openIn(folder.path);
    const services = { clock: systemClock, logger: createLogger('silent') };
    const address = await databaseIn(folder.path);
    const [here, elsewhere] = [
      await openBetweenProcesses(address, services),
      await openBetweenProcesses(address, services),
    ];
    const closing = new AbortController();
    const gate = createGate(database, 2);
    const first = createRefresher({
      ...servicesBeside(gate.database),
      closing: closing.signal,
      refreshQueue: here.refreshes,
    });
    await first.start();
    const id = await database.transact(async (transaction) => {
      const wish = { trigger: RefreshTrigger.SCHEDULE, requestedById: null, requestedFrom: null };
      return (await first.begin(transaction, wish)).id;
    });
    // It has noted that it begins with the segment.
    await gate.reached;
    // As if it had been running all the time: whoever starts looks for what is left.
    const { start, ...rest } = elsewhere.refreshes;
    const refreshQueue: Queue = { ...rest, start: (worker) => start(worker, []) };
    const second = createRefresher({ ...servicesBeside(database), refreshQueue });
    await second.start();
    closing.abort();
    gate.open();
    const read = () => database.reader.findOneByOrFail(Refresh, { id });
    while ((await read()).state === RefreshState.RUNNING)
      await new Promise((resolve) => setImmediate(resolve));
    expect(await read()).toMatchObject({ state: RefreshState.SUCCEEDED, attempt: 2 });
    await Promise.all([first.stop(), second.stop()]);
    await Promise.all([here.close(), elsewhere.close()]);
  });

  it('that somebody else has taken up is left to them', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    await exportOf(engine, people(2));
    await segmentBy(sluice, 'Everybody');
    await using database = await beside(sluice);
    const refresh = await database.transact(async ({ manager }) => {
      const wish = { trigger: RefreshTrigger.SCHEDULE, requestedById: null, requestedFrom: null };
      const begun = await beginRefresh({ clock: systemClock }, manager, wish);
      await manager.query('UPDATE "refreshes" SET "attempt" = 2');
      return begun;
    });
    const services = servicesBeside(database);
    await expect(workRefresh(services, refresh)).rejects.toThrow('was taken up by somebody else');
    expect(await runs(sluice)).toEqual([]);
    expect(await refreshes(sluice)).toMatchObject([{ state: 'RUNNING', steps: [{ state: 'PENDING' }] }]);
  });

  it('that loses the database in the middle of a segment blames no segment: it is evaluated again', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    await exportOf(engine, people(2));
    await segmentBy(sluice, 'Everybody');
    await using database = await beside(sluice);
    const refresh = await database.transact(({ manager }) => {
      const wish = { trigger: RefreshTrigger.SCHEDULE, requestedById: null, requestedFrom: null };
      return beginRefresh({ clock: systemClock }, manager, wish);
    });
    const value = () => Promise.reject(new Error('Connection terminated unexpectedly'));
    // What is read of profiles is read so.
    const reader = Object.create(database.reader, { query: { value } }) as EntityManager;
    const away = { ...database, reader };
    await expect(workRefresh(servicesBeside(away), refresh)).rejects.toThrow('Connection terminated');
    expect(await refreshes(sluice)).toMatchObject([{ state: 'RUNNING', steps: [{ state: 'RUNNING' }] }]);
  });
});
