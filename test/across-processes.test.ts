import { systemClock } from '../src/clock.js';
import { connectIn, onPostgres } from './helpers/databases.js';
import { exportOf, finish, held, imports, people, wanted } from './helpers/engine.js';
import { connectedConnection, runEnd, startRun } from './helpers/flows.js';
import { connectionCalls } from './helpers/connection-calls.js';
import { newTokenOf, newUser, revoke } from './helpers/people.js';
import { RawClient } from './helpers/raw-client.js';
import { roundsIn, startRounds } from './helpers/rounds.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { startSluice, temporaryFolder, type Sluice } from './helpers/sluice.js';

/*
 * Two servers on one Postgres: one serves callers, the other works. Each learns what the other did within two seconds,
 * also while the connection is cut over which they tell each other.
 */

/** Two seconds for who looks every two seconds, and as many questions as they take; half a second for what is done then. */
const WITHIN_ROUNDS = roundsIn(2_500);
/** A batch every 60 ms. */
const TIME_SCALE = 10;

async function pair(options: { readonly hurried?: boolean } = {}) {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder());
  const timeScale = options.hurried === true ? 100_000 : TIME_SCALE;
  const sandbox = stack.use(await startTestSandbox({ timeScale }));
  const start = async (role: string) =>
    stack.use(
      await startSluice({
        sandbox,
        folder: folder.path,
        env: { SLUICE_PROCESS: role, SLUICE_SANDBOX_TIME_SCALE: String(timeScale) },
      }),
    );
  const api = await start('api');
  const connectionId = await connectedConnection(api, sandbox);
  return {
    folder: folder.path,
    sandbox,
    api,
    connectionId,
    start,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Cuts all wires again and again, faster than they are mended, until it is told to stop. */
function cutWires(folder: string) {
  const over = new AbortController();
  const cutting = (async () => {
    await using source = await connectIn(folder);
    while (!over.signal.aborted) {
      await source.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'sluice wire'`,
      );
      await systemClock.sleep(50);
    }
  })();
  return async () => {
    over.abort();
    await cutting;
  };
}

async function cancel(sluice: Sluice, id: string): Promise<void> {
  await sluice.query('mutation ($id: ID!) { cancelExportRun(id: $id) { state } }', { id });
}

/** How many requests with profile data have begun, or are about to. */
async function intentsIn(folder: string): Promise<number> {
  await using source = await connectIn(folder);
  const [row] = await source.query<[{ count: number }]>('SELECT COUNT(*)::int AS "count" FROM "batches"');
  return row.count;
}

describe('what happens in one process', () => {
  onPostgres('is worked by another: one that only serves leaves runs waiting for it', async () => {
    await using world = await pair({ hurried: true });
    const { api, sandbox } = world;
    const exportId = await exportOf({ sluice: api, ...world }, people(600));
    const id = await startRun(api, exportId);
    const { exportRun } = await api.query<{ exportRun: { state: string } }>(
      'query ($id: ID!) { exportRun(id: $id) { state } }',
      { id },
    );
    expect(exportRun.state).toBe('QUEUED');
    const worker = await world.start('worker');
    expect(await finish(api, id)).toMatchObject({ state: 'SUCCEEDED' });
    expect(held(sandbox)).toEqual(wanted(600));
    expect((await fetch(`${worker.url}/graphql`, { method: 'POST' })).status).toBe(404);
    expect((await fetch(`${worker.url}/readyz`)).status).toBe(200);
  });

  onPostgres.each([
    ['is told to subscribers of another', false],
    ['is found by subscribers of another while the wire is cut', true],
  ])('%s, the final state above all', async (_name, isCut) => {
    await using world = await pair();
    await world.start('worker');
    const exportId = await exportOf({ sluice: world.api, ...world }, people(20 * 250));
    const stop = isCut ? cutWires(world.folder) : undefined;
    const id = await startRun(world.api, exportId);
    const end = await runEnd(world.api, id);
    await stop?.();
    expect(end).toMatchObject({ state: 'SUCCEEDED', progress: { confirmed: 20 * 250 } });
  });

  onPostgres.each([
    ['cancels', false],
    ['cancels, also while the wire is cut,', true],
  ])('%s what another sends, within two seconds', async (_name, isCut) => {
    await using world = await pair();
    await world.start('worker');
    const exportId = await exportOf({ sluice: world.api, ...world }, people(200 * 250));
    const begun = world.sandbox.next('accepted', () => world.sandbox.batches().length >= 5);
    const id = await startRun(world.api, exportId);
    await begun;
    const stop = isCut ? cutWires(world.folder) : undefined;
    await using source = await connectIn(world.folder);
    await using rounds = startRounds(() => source.query('SELECT 1'));
    await cancel(world.api, id);
    const cancelledIn = rounds.count();
    let sentIn = cancelledIn;
    const stopWatching = world.sandbox.on('call', ({ kind }) => {
      if (kind === 'importer') sentIn = rounds.count();
    });
    expect(await finish(world.api, id)).toMatchObject({ state: 'CANCELED' });
    stopWatching();
    await stop?.();
    expect(sentIn - cancelledIn).toBeLessThanOrEqual(WITHIN_ROUNDS);
    expect(world.sandbox.batches().length).toBeLessThan(200);
  });

  onPostgres(
    'withdraws the consent that another sends with: no request begins after the answer',
    async () => {
      await using world = await pair();
      await world.start('worker');
      const exportId = await exportOf({ sluice: world.api, ...world }, people(200 * 250));
      const begun = world.sandbox.next('accepted', () => world.sandbox.batches().length >= 5);
      const id = await startRun(world.api, exportId);
      await begun;
      await connectionCalls(world.api).withdrawConsent(world.connectionId);
      // What has begun may still be on its way: its intent is written already.
      const intents = await intentsIn(world.folder);
      expect(await finish(world.api, id)).toMatchObject({
        state: 'FAILED',
        problem: { code: 'CONSENT_REQUIRED' },
      });
      expect(await intentsIn(world.folder)).toBe(intents);
      expect(imports(world.sandbox).length).toBeLessThanOrEqual(intents);
      expect(intents).toBeLessThan(200);
    },
  );

  onPostgres.each([
    ['revokes tokens', false],
    ['revokes tokens, also while the wire is cut:', true],
  ])('%s sockets of another are closed within two seconds', async (_name, isCut) => {
    await using world = await pair();
    const other = await world.start('all');
    const userId = await newUser(world.api, 'VIEWER');
    const { id, token } = await newTokenOf(world.api, userId);
    const socket = new RawClient(other);
    await socket.init(`Bearer ${token}`);
    expect(await socket.next()).toEqual({ type: 'connection_ack' });
    const stop = isCut ? cutWires(world.folder) : undefined;
    await using source = await connectIn(world.folder);
    await using rounds = startRounds(() => source.query('SELECT 1'));
    await revoke(world.api, id);
    const revokedIn = rounds.count();
    expect(await socket.closed).toMatchObject({ code: 4403 });
    expect(rounds.count() - revokedIn).toBeLessThanOrEqual(WITHIN_ROUNDS);
    await stop?.();
    expect((await other.as(token).request('{ me { id } }')).status).toBe(401);
  });

  onPostgres('that cannot hear the others says so, and mends it', async () => {
    await using world = await pair();
    const stop = cutWires(world.folder);
    const readiness = async () => (await fetch(`${world.api.url}/readyz`)).status;
    while ((await readiness()) === 200) await systemClock.sleep(20);
    await stop();
    while ((await readiness()) !== 200) await systemClock.sleep(20);
    expect(world.api.log.some(({ msg }) => String(msg).includes('is up again'))).toBe(true);
  });
});

describe('a process with another secret key', () => {
  it('says so in its log when it starts', async () => {
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox();
    const start = (byte: number) =>
      startSluice({
        sandbox,
        folder: folder.path,
        env: { SLUICE_SECRET_KEY: Buffer.alloc(32, byte).toString('base64') },
      });
    const warned = ({ log }: Sluice) => log.filter(({ msg }) => String(msg).startsWith('stored API keys'));
    {
      await using first = await start(1);
      await connectedConnection(first, sandbox);
    }
    {
      await using same = await start(1);
      expect(warned(same)).toEqual([]);
    }
    await using other = await start(2);
    expect(warned(other)).toMatchObject([
      { level: 40, why: expect.stringContaining('sealed with the secret key') as string },
    ]);
  });
});
