import { createCalendar } from './helpers/calendar.js';
import { copyExport } from './helpers/export-copies.js';
import {
  exportOf,
  finish,
  people,
  runFully,
  startEngine,
  stoppedTime,
  type Engine,
} from './helpers/engine.js';
import { connectedConnection, createExportOf, segmentNamed, startRun } from './helpers/flows.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { startSluice, type Sluice } from './helpers/sluice.js';
import { runs, scheduledExport, type RunAnswer } from './helpers/schedule-calls.js';
import { openStatementLog, type StatementLog } from './helpers/statement-log.js';

/** Of which the last group of a hundred is not full. */
const MANY = 230;
/** Exports that one transaction queues. */
const GROUP = 100;

const RUN = 'id state trigger export { id }';

async function runAll({ sluice }: Engine): Promise<RunAnswer[]> {
  const answer = await sluice.query<{ runAllExports: RunAnswer[] }>(`mutation { runAllExports { ${RUN} } }`);
  return answer.runAllExports;
}

/** Everything that queueing writes or asks goes by groups: a statement for each group, not for each export. */
function expectGroups(log: StatementLog, trigger: string | null): void {
  const groups = Math.ceil(MANY / GROUP);
  expect(log.beginning('INSERT INTO "export_runs"')).toHaveLength(groups);
  expect(log.beginning('SELECT "value" AS "exportId"')).toHaveLength(groups);
  // The request itself is recorded too.
  if (trigger !== null) expect(log.beginning('INSERT INTO "audit_events"')).toHaveLength(groups + 1);
}

/** Nothing that was sent is decided, so that what is queued stays so, or is under way. */
async function startBusyEngine(options: Parameters<typeof startEngine>[0] = {}): Promise<Engine> {
  return startEngine({ sandbox: stoppedTime().sandbox, ...options });
}

describe('runs of many exports', () => {
  it('are queued in groups by runAllExports, and answered by the age of their exports', async () => {
    await using engine = await startBusyEngine();
    const { sluice } = engine;
    const first = await exportOf(engine, people(1));
    const ids = [first, ...(await copyExport(sluice, first, MANY - 1))];
    using log = openStatementLog();
    const queued = await runAll(engine);
    expectGroups(log, 'RUN_ALL');
    expect(queued.map((run) => run.export.id)).toEqual(ids);
    expect(new Set(queued.map(({ id }) => id)).size).toBe(MANY);
    expect(queued.every(({ state }) => state === 'QUEUED')).toBe(true);
    // Nothing ends here: one run of an export is under way at the most, and one more is queued.
    const again = [...(await runAll(engine)), ...(await runAll(engine))];
    expect(again.map((run) => run.export.id)).toEqual([...ids, ...ids]);
    const runsOf = Map.groupBy([...queued, ...again], (run) => run.export.id);
    for (const own of runsOf.values()) expect(new Set(own.map(({ id }) => id)).size).toBeLessThanOrEqual(2);
  });

  it('are queued in groups by a refresh, each with its step', async () => {
    await using engine = await startBusyEngine();
    const { sluice } = engine;
    const first = await exportOf(engine, people(1));
    const ids = [first, ...(await copyExport(sluice, first, MANY - 1))];
    using log = openStatementLog();
    await sluice.query('mutation { runRefresh { id } }');
    expectGroups(log, 'REFRESH');
    expect(log.beginning('INSERT INTO "refresh_steps"')).toHaveLength(Math.ceil(MANY / GROUP));
    const { refreshes } = await sluice.query<{
      refreshes: {
        nodes: { steps: { state: string; subjectId: string; run: { export: { id: string } } }[] }[];
      };
    }>('{ refreshes(first: 1) { nodes { steps { state subjectId run { export { id } } } } } }');
    const [refresh] = refreshes.nodes;
    expect(refresh?.steps.map(({ subjectId }) => subjectId)).toEqual(ids);
    expect(refresh?.steps.map(({ run }) => run.export.id)).toEqual(ids);
  });

  it('are queued in groups when they fall due together, each once', async () => {
    const calendar = createCalendar('2026-01-05T06:00:00Z');
    await using engine = await startBusyEngine({ sluice: calendar.options });
    const { sluice } = engine;
    const first = await scheduledExport(engine, '0 7 * * *');
    await copyExport(sluice, first, MANY - 1);
    using log = openStatementLog();
    await calendar.turnTo('2026-01-05T07:00:00Z');
    expectGroups(log, null);
    await calendar.tick();
    expectGroups(log, null);
    expect(sluice.log.filter(({ msg }) => msg === 'an export was due')).toHaveLength(MANY);
    expect((await runs(sluice)).every(({ trigger }) => trigger === 'SCHEDULE')).toBe(true);
  });
});

/** Runs of one account that prepare at the same time. */
const PLACES = 3;

async function statesOf(sluice: Sluice): Promise<Map<string, string>> {
  return new Map((await runs(sluice)).map(({ id, state }) => [id, state]));
}

/** Resolves when so many runs are in the state, which the server tells. */
async function untilThereAre(sluice: Sluice, count: number, state: string): Promise<void> {
  const there = new Set<string>();
  const events = sluice.subscribe<{ exportRunChanged: RunAnswer }>(
    `subscription { exportRunChanged { ${RUN} } }`,
  );
  for await (const { exportRunChanged: run } of events) {
    if (run.state === state) there.add(run.id);
    if (there.size === count) return;
  }
}

/** An account that does not answer whether a list is there, which a run asks before it prepares, until it is let go. */
async function startHeldEngine() {
  const time = stoppedTime();
  const engine = await startEngine({ sandbox: time.sandbox });
  const letGo = () => {
    engine.sandbox.clearFaults();
    time.letGo();
    // Appointments of a stopped time are kept when somebody asks.
    engine.sandbox.summary();
  };
  const hold = () => {
    engine.sandbox.addFault({ on: 'lists', times: null, action: { type: 'slow', delayMs: 1_000 } });
  };
  return { engine, hold, letGo };
}

describe('the runs of an account', () => {
  it('prepare a few at a time: the others stay QUEUED, and are cancelled at once', async () => {
    const { engine: begun, hold, letGo } = await startHeldEngine();
    await using engine = begun;
    const { sluice } = engine;
    const first = await exportOf(engine, people(2));
    await copyExport(sluice, first, PLACES + 3);
    hold();
    const running = untilThereAre(sluice, PLACES, 'RUNNING');
    const queued = await runAll(engine);
    await running;
    const waiting = [...(await statesOf(sluice))].filter(([, state]) => state === 'QUEUED');
    expect(waiting).toHaveLength(queued.length - PLACES);
    const id = waiting[0]?.[0];
    const { cancelExportRun } = await sluice.query<{ cancelExportRun: { state: string } }>(
      'mutation ($id: ID!) { cancelExportRun(id: $id) { state } }',
      { id },
    );
    expect(cancelExportRun.state).toBe('CANCELED');
    const states = [...(await statesOf(sluice)).values()];
    expect(states.filter((state) => state === 'RUNNING')).toHaveLength(PLACES);
    letGo();
    for (const run of queued) {
      const { state } = await finish(sluice, run.id);
      expect(state).toBe(run.id === id ? 'CANCELED' : 'SUCCEEDED');
    }
  });

  it('give a place to the smallest first', async () => {
    const { engine: begun, hold, letGo } = await startHeldEngine();
    await using engine = begun;
    const { sluice, connectionId } = engine;
    const first = await exportOf(engine, people(2));
    await copyExport(sluice, first, PLACES - 1);
    const exportNamed = async (name: string, csv: string) => {
      await sluice.importCsv(csv, { segment: name });
      const segmentIds = [await segmentNamed(sluice, name)];
      return createExportOf(sluice, { connectionId, segmentIds, name, schedule: { enabled: false } });
    };
    const large = await exportNamed('Large', people(400, 1_001));
    const small = await exportNamed('Small', people(3, 5_001));
    hold();
    const running = untilThereAre(sluice, PLACES, 'RUNNING');
    await runAll(engine);
    await running;
    for (const exportId of [large, small]) await startRun(sluice, exportId);
    letGo();
    for (const { id } of await runs(sluice)) await finish(sluice, id);
    const takenUp = sluice.log.filter(({ msg }) => msg === 'run taken up').map(({ exportId }) => exportId);
    expect(takenUp.slice(PLACES)).toEqual([small, large]);
  });

  it('leave their place when they are held', async () => {
    const lists = Array.from({ length: PLACES + 2 }, (_, index) => ({
      id: index + 1,
      name: `List ${index + 1}`,
    }));
    await using engine = await startEngine({ sandbox: { lists } });
    const { sluice } = engine;
    const first = await exportOf(engine, people(2), { leavers: 'UNSUBSCRIBE' });
    await copyExport(sluice, first, lists.length - 1, (n) => ({
      list: { id: String(n + 1), name: `List ${n + 1}` },
    }));
    for (const { id } of await runAll(engine)) {
      expect(await finish(sluice, id)).toMatchObject({ state: 'SUCCEEDED', progress: { confirmed: 2 } });
    }
    // Nobody of those is a member any more: a run that takes everybody off a list is held.
    await sluice.importCsv(people(1, 9), { segment: 'All' });
    const held = await runAll(engine);
    await untilThereAre(sluice, held.length, 'HELD');
  });

  it('of accounts whose destinations are away keep no other account waiting', async () => {
    await using away = await startTestSandbox({ account: 'away' });
    await using alsoAway = await startTestSandbox({ account: 'also-away' });
    await using there = await startTestSandbox({ account: 'there' });
    const hosts = [away, alsoAway, there].map(({ host }) => host).join(',');
    await using sluice = await startSluice({ sandbox: there, env: { SLUICE_SANDBOX_HOSTS: hosts } });
    await sluice.importCsv(people(2), { segment: 'All' });
    const segmentIds = [await segmentNamed(sluice, 'All')];
    const exportIds: string[] = [];
    for (const sandbox of [away, alsoAway]) {
      const connectionId = await connectedConnection(sluice, sandbox);
      for (let n = 0; n < PLACES; n += 1) {
        exportIds.push(await createExportOf(sluice, { connectionId, segmentIds }));
      }
      sandbox.addFault({ on: 'lists', times: null, action: { type: 'answer', status: 500 } });
    }
    const running = untilThereAre(sluice, exportIds.length, 'RUNNING');
    const runIds = await Promise.all(exportIds.map((id) => startRun(sluice, id)));
    await running;
    const connectionId = await connectedConnection(sluice, there);
    const run = await runFully(sluice, await createExportOf(sluice, { connectionId, segmentIds }));
    expect(run).toMatchObject({ state: 'SUCCEEDED', progress: { confirmed: 2 } });
    for (const sandbox of [away, alsoAway]) sandbox.clearFaults();
    for (const id of runIds) expect(await finish(sluice, id)).toMatchObject({ state: 'SUCCEEDED' });
  });
});
