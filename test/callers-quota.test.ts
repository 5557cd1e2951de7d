import type { Sandbox } from '../sandbox/sandbox.js';
import { onPostgres } from './helpers/databases.js';
import { connectionCalls } from './helpers/connection-calls.js';
import { exportOf, finish, imports, people, startEngine } from './helpers/engine.js';
import { connectedConnection, startRun } from './helpers/flows.js';
import { movableClock } from './helpers/movable-clock.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { GraphQLRequestError, startSluice, temporaryFolder, type Sluice } from './helpers/sluice.js';

/** A batch every 60 ms, and five calls in a tenth of a second. */
const TIME_SCALE = 10;
const env = { SLUICE_SANDBOX_TIME_SCALE: String(TIME_SCALE) };
const BATCHES = 30;

/** Asks whatever callers can ask about these connections, side by side and again and again, until it is told to stop. */
function keepAsking(sluice: Sluice, connectionIds: readonly string[], exportId: string) {
  let isOver = false;
  let answers = 0;
  const calls = connectionCalls(sluice);
  const plan = () =>
    sluice.query('query ($id: ID!) { planExport(exportId: $id) { accountLimit } }', { id: exportId });
  const questions = [
    ...connectionIds.flatMap((id) => [() => calls.connect(id), () => calls.lists(id)]),
    plan,
  ];
  const asking = questions.map(async (question) => {
    while (!isOver) {
      await question().then(
        () => (answers += 1),
        (error: unknown) => {
          if (!(error instanceof GraphQLRequestError) || error.code !== 'RATE_LIMITED') throw error;
        },
      );
    }
  });
  return async () => {
    isOver = true;
    await Promise.all(asking);
    return answers;
  };
}

function expectQuotaKept(sandbox: Sandbox): void {
  const { busiest, quotaRefusals } = sandbox.summary().invariants;
  expect(quotaRefusals).toEqual({ second: 0, minute: 0, 'minute-single': 0 });
  expect(busiest.requestsInOneSecond).toBeLessThanOrEqual(5);
  expect(sandbox.log.filter(({ status }) => status === 429)).toEqual([]);
}

describe('callers who ask an account while a run is under way', () => {
  it('and the run keep to its quota together, in one process', async () => {
    await using engine = await startEngine({ sandbox: { timeScale: TIME_SCALE }, sluice: { env } });
    const { sandbox, sluice, connectionId } = engine;
    const connectionIds = [connectionId];
    for (let n = 0; n < 3; n += 1) connectionIds.push(await connectedConnection(sluice, sandbox));
    const exportId = await exportOf(engine, people(250 * BATCHES));
    const runId = await startRun(sluice, exportId);
    const stop = keepAsking(sluice, connectionIds, exportId);
    expect(await finish(sluice, runId)).toMatchObject({ state: 'SUCCEEDED' });
    expect(await stop()).toBeGreaterThan(0);
    expect(imports(sandbox)).toHaveLength(BATCHES);
    expectQuotaKept(sandbox);
  }, 120_000);

  onPostgres(
    'and the run keep to its quota together, also where others work and several answer callers',
    async () => {
      await using folder = await temporaryFolder();
      await using sandbox = await startTestSandbox({ timeScale: TIME_SCALE });
      const start = (role: string) =>
        startSluice({ sandbox, folder: folder.path, env: { ...env, SLUICE_PROCESS: role } });
      await using api = await start('api');
      await using other = await start('api');
      await using worker = await start('worker');
      const connectionIds: string[] = [];
      for (let n = 0; n < 4; n += 1) connectionIds.push(await connectedConnection(api, sandbox));
      const [connectionId = ''] = connectionIds;
      const exportId = await exportOf({ sluice: api, connectionId }, people(250 * BATCHES));
      const runId = await startRun(api, exportId);
      expect(worker.url).not.toBe(api.url);
      const stops = [api, other].map((sluice) => keepAsking(sluice, connectionIds, exportId));
      expect(await finish(api, runId)).toMatchObject({ state: 'SUCCEEDED' });
      for (const stop of stops) expect(await stop()).toBeGreaterThan(0);
      expect(imports(sandbox)).toHaveLength(BATCHES);
      expectQuotaKept(sandbox);
    },
    120_000,
  );
});

describe('lists that many ask for', () => {
  const questions = ({ log }: Sandbox) =>
    log.filter(({ kind, path }) => kind === 'lists' && path.endsWith('lists'));

  it('are asked for once for each connection and its key, and serve for five seconds', async () => {
    const clock = movableClock();
    await using engine = await startEngine({ sluice: { clock } });
    const { sandbox, sluice, connectionId } = engine;
    const other = await connectedConnection(sluice, sandbox);
    const { lists } = connectionCalls(sluice);
    const asked = async (...ids: string[]) => {
      const before = questions(sandbox).length;
      const answers = await Promise.all(ids.map((id) => lists(id)));
      for (const answer of answers) expect(answer).toHaveLength(sandbox.summary().lists.length);
      return questions(sandbox).length - before;
    };
    // The end of the lists is a page that holds nothing new.
    const pages = await asked(connectionId);
    expect(pages).toBeGreaterThan(0);
    expect(await asked(...Array.from({ length: 20 }, () => connectionId))).toBe(0);
    expect(await asked(...Array.from({ length: 20 }, () => other))).toBe(pages);
    clock.pass(5_001);
    expect(await asked(connectionId, other, connectionId, other)).toBe(2 * pages);
    await sluice.query(
      'mutation ($id: ID!, $key: String!) { updateConnection(id: $id, input: { apiKey: $key }) { id } }',
      { id: other, key: sandbox.token },
    );
    expect(await asked(connectionId, other)).toBe(pages);
  });

  it('are not shared when they could not be had', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice, connectionId } = engine;
    const { lists } = connectionCalls(sluice);
    sandbox.addFault({ on: 'lists', nth: 1, times: 1, action: { type: 'answer', status: 500 } });
    const failed = await Promise.allSettled([lists(connectionId), lists(connectionId)]);
    expect(failed.map(({ status }) => status)).toContain('rejected');
    expect(await lists(connectionId)).toHaveLength(sandbox.summary().lists.length);
  });
});
