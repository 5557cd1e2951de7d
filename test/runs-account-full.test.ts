import {
  emailOf,
  exportOf,
  finish,
  imports,
  people,
  runFully,
  startEngine,
  UNHURRIED,
  type Engine,
} from './helpers/engine.js';
import { connectedConnection as connected, startRun } from './helpers/flows.js';
import { movableClock } from './helpers/movable-clock.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { startSluice, temporaryFolder } from './helpers/sluice.js';

const DAY_MS = 86_400_000;

/** Whether the key may read the account's limit. */
const KEYS = [
  ['whose limit the key may read', true],
  ['whose limit the key may not read', false],
] as const;

const asked = ({ sandbox }: Pick<Engine, 'sandbox'>) =>
  sandbox.log.filter(({ kind }) => kind === 'account').length;

/** Excludes these people from everything, as an administrator of the account does. */
function exclude({ sandbox }: Engine, from: number, to: number): void {
  for (let n = from; n <= to; n += 1) sandbox.exclude(emailOf(n));
}

async function force({ sluice }: Engine, exportId: string) {
  const { runExport } = await sluice.query<{ runExport: { id: string } }>(
    'mutation ($id: ID!) { runExport(exportId: $id, force: true) { id } }',
    { id: exportId },
  );
  return finish(sluice, runExport.id);
}

describe.each(KEYS)('an account %s', (_what, canReadAccount) => {
  it('is full when newcomers do not fit; they are tried again as soon as there is room', async () => {
    await using engine = await startEngine({ sandbox: { subscriberLimit: 600, canReadAccount } });
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, people(1_000));
    const before = asked(engine);
    const run = await runFully(sluice, exportId);
    expect(run).toMatchObject({
      state: 'SUCCEEDED_WITH_WARNINGS',
      problem: { code: 'ACCOUNT_FULL' },
      progress: { confirmed: 600, rejected: 400 },
    });
    expect(run.problem?.message).toContain('400 of the 1,000 new contacts');
    expect(asked(engine)).toBe(before + 1);
    expect(await runFully(sluice, exportId)).toMatchObject({
      problem: { code: 'ACCOUNT_FULL' },
      progress: { unchanged: 600, rejected: 400 },
    });
    sandbox.set({ subscriberLimit: 1_000 });
    expect(await runFully(sluice, exportId)).toMatchObject({
      state: 'SUCCEEDED',
      problem: null,
      progress: { unchanged: 600, confirmed: 400 },
    });
  });

  it('is not full because forty people are refused for good, not even after thirty days', async () => {
    const clock = movableClock();
    await using engine = await startEngine({ sandbox: { canReadAccount }, sluice: { clock } });
    const { sluice, sandbox } = engine;
    exclude(engine, 1, 40);
    const exportId = await exportOf(engine, people(2_000));
    expect(await runFully(sluice, exportId)).toMatchObject({ problem: null, progress: { rejected: 40 } });
    for (let month = 1; month <= 2; month += 1) {
      clock.pass(31 * DAY_MS);
      const before = imports(sandbox).length;
      expect(await runFully(sluice, exportId)).toMatchObject({
        problem: null,
        progress: { unchanged: 1_960, rejected: 40 },
      });
      expect(imports(sandbox).length).toBeGreaterThan(before);
      const after = imports(sandbox).length;
      expect(await runFully(sluice, exportId)).toMatchObject({ problem: null, progress: { rejected: 40 } });
      expect(imports(sandbox)).toHaveLength(after);
    }
  });

  it('is not full because one newcomer is refused, nor because a forced run is refused the same people', async () => {
    await using engine = await startEngine({ sandbox: { canReadAccount } });
    const { sluice } = engine;
    exclude(engine, 1, 40);
    const exportId = await exportOf(engine, people(300));
    await runFully(sluice, exportId);
    expect(await force(engine, exportId)).toMatchObject({ problem: null, progress: { rejected: 40 } });
    exclude(engine, 301, 301);
    await sluice.importCsv(people(301), { segment: 'All' });
    const run = await runFully(sluice, exportId);
    expect(run).toMatchObject({ problem: null, progress: { unchanged: 260, rejected: 41, toSend: 41 } });
  });

  it('is full however the batches are decided, also with a restart in the middle', async () => {
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox({ subscriberLimit: 600, canReadAccount });
    const options = { ...UNHURRIED, folder: folder.path, sandbox };
    // Until the restart nothing is decided, and afterwards the last batch is decided first.
    for (const [nth, polls] of [
      [1, 12],
      [2, 8],
      [3, 4],
    ] as const) {
      sandbox.addFault({ on: 'importer', nth, action: { type: 'withhold', polls } });
    }
    const third = sandbox.nextCall(({ kind }) => kind === 'importer' && imports(sandbox).length === 3);
    const { exportId, runId } = await (async () => {
      await using sluice = await startSluice(options);
      const id = await exportOf({ sluice, connectionId: await connected(sluice, sandbox) }, people(1_000));
      const run = await startRun(sluice, id);
      await third;
      return { exportId: id, runId: run };
    })();
    await using sluice = await startSluice(options);
    expect(await finish(sluice, runId)).toMatchObject({
      attempt: 2,
      problem: { code: 'ACCOUNT_FULL' },
      progress: { confirmed: 600, rejected: 400 },
    });
    sandbox.set({ subscriberLimit: null });
    expect(await runFully(sluice, exportId)).toMatchObject({
      state: 'SUCCEEDED',
      progress: { confirmed: 400 },
    });
  });

  it('does not count people whom it refuses for good as newcomers while it is full', async () => {
    const clock = movableClock();
    await using engine = await startEngine({ sandbox: { canReadAccount }, sluice: { clock } });
    const { sluice, sandbox } = engine;
    exclude(engine, 1, 40);
    const exportId = await exportOf(engine, people(300));
    await runFully(sluice, exportId);
    clock.pass(31 * DAY_MS);
    sandbox.set({ subscriberLimit: sandbox.contactCount });
    await sluice.importCsv(people(330), { segment: 'All' });
    const full = await runFully(sluice, exportId);
    expect(full).toMatchObject({ problem: { code: 'ACCOUNT_FULL' }, progress: { rejected: 70 } });
    expect(full.problem?.message).toContain('30 of the 30 new contacts');
    sandbox.set({ subscriberLimit: null });
    const room = await runFully(sluice, exportId);
    expect(room).toMatchObject({ problem: null, progress: { confirmed: 30, rejected: 40 } });
    const before = imports(sandbox).length;
    expect(await runFully(sluice, exportId)).toMatchObject({ problem: null, progress: { rejected: 40 } });
    expect(imports(sandbox)).toHaveLength(before);
  });
});

describe('without the limit of the account', () => {
  it.each([
    ['twenty newcomers, eleven of them refused', 20, 9, true],
    ['twenty newcomers, ten of them refused', 20, 10, false],
    ['nineteen newcomers, all of them refused', 19, 0, false],
    ['the last hundred of five hundred newcomers refused', 500, 400, true],
    ['the last ninety-nine of five hundred newcomers refused', 500, 401, false],
  ])('%s', async (_what, count, limit, isFull) => {
    await using engine = await startEngine({ sandbox: { subscriberLimit: limit, canReadAccount: false } });
    const exportId = await exportOf(engine, people(count));
    const run = await runFully(engine.sluice, exportId);
    expect(run.progress).toMatchObject({ confirmed: limit, rejected: count - limit });
    expect(run.problem?.code).toBe(isFull ? 'ACCOUNT_FULL' : undefined);
  });

  it('people who are refused at once, each with a reason, do not make an account full', async () => {
    await using engine = await startEngine({ sandbox: { canReadAccount: false } });
    const { sluice, sandbox } = engine;
    sandbox.refuseAddresses({ emails: Array.from({ length: 25 }, (_, n) => emailOf(n + 1)), how: 'named' });
    const exportId = await exportOf(engine, people(30));
    expect(await runFully(sluice, exportId)).toMatchObject({
      problem: null,
      progress: { confirmed: 5, rejected: 25 },
    });
  });

  it('the outcomes decide also where the question fails', async () => {
    await using engine = await startEngine({ sandbox: { subscriberLimit: 100 } });
    const { sluice, sandbox } = engine;
    sandbox.addFault({ on: 'account', times: null, action: { type: 'answer', status: 500 } });
    const exportId = await exportOf(engine, people(300));
    expect(await runFully(sluice, exportId)).toMatchObject({ problem: { code: 'ACCOUNT_FULL' } });
  });
});

describe('with the limit of the account', () => {
  it('one newcomer too many is enough', async () => {
    await using engine = await startEngine({ sandbox: { subscriberLimit: 300 } });
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, people(301));
    const run = await runFully(sluice, exportId);
    expect(run).toMatchObject({ problem: { code: 'ACCOUNT_FULL' }, progress: { rejected: 1 } });
    expect(run.problem?.message).toContain('it holds 300 contacts and its limit is 300');
    sandbox.set({ subscriberLimit: 301 });
    expect((await runFully(sluice, exportId)).progress).toMatchObject({ unchanged: 300, confirmed: 1 });
  });

  it.each([[1_000], [null]])(
    'refusals are about the people where there is room (limit %s)',
    async (subscriberLimit) => {
      await using engine = await startEngine({ sandbox: { subscriberLimit } });
      const { sluice, sandbox } = engine;
      exclude(engine, 1, 30);
      const exportId = await exportOf(engine, people(30));
      expect(await runFully(sluice, exportId)).toMatchObject({ problem: null, progress: { rejected: 30 } });
      const before = imports(sandbox).length;
      await runFully(sluice, exportId);
      expect(imports(sandbox)).toHaveLength(before);
    },
  );

  it('nobody asks for it where no newcomer was refused', async () => {
    await using engine = await startEngine({ sandbox: { subscriberLimit: 300 } });
    const exportId = await exportOf(engine, people(300));
    const before = asked(engine);
    await runFully(engine.sluice, exportId);
    expect(asked(engine)).toBe(before);
  });
});

describe('refusals of a full account do not stand', () => {
  it('of people who were refused before for another reason', async () => {
    const clock = movableClock();
    await using engine = await startEngine({ sluice: { clock } });
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, people(300));
    // Its 260 others fill the account; once there is room, the forty are welcome.
    sandbox.refuseAddresses({ emails: Array.from({ length: 40 }, (_, n) => emailOf(n + 1)), how: 'later' });
    expect(await runFully(sluice, exportId)).toMatchObject({ problem: null, progress: { rejected: 40 } });
    sandbox.clearFaults();
    sandbox.set({ subscriberLimit: 260 });
    clock.pass(31 * DAY_MS);
    const full = await runFully(sluice, exportId);
    expect(full).toMatchObject({ problem: { code: 'ACCOUNT_FULL' }, progress: { toSend: 40, rejected: 40 } });
    expect(full.problem?.message).toContain('refused 40 contacts');
    sandbox.set({ subscriberLimit: null });
    expect(await runFully(sluice, exportId)).toMatchObject({
      state: 'SUCCEEDED',
      progress: { unchanged: 260, confirmed: 40 },
    });
  });

  it('of an earlier run, which could not know that the account was full', async () => {
    await using engine = await startEngine({ sandbox: { subscriberLimit: 300, canReadAccount: false } });
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, people(319));
    expect(await runFully(sluice, exportId)).toMatchObject({ problem: null, progress: { rejected: 19 } });
    await sluice.importCsv(people(344), { segment: 'All' });
    expect(await runFully(sluice, exportId)).toMatchObject({
      problem: { code: 'ACCOUNT_FULL' },
      progress: { unchanged: 300, rejected: 44, toSend: 44 },
    });
    sandbox.set({ subscriberLimit: null });
    expect(await runFully(sluice, exportId)).toMatchObject({
      state: 'SUCCEEDED',
      progress: { unchanged: 300, confirmed: 44 },
    });
  });
});

describe('a full account whose refusals are known later', () => {
  it('refuses nobody for thirty days', async () => {
    await using engine = await startEngine({ sandbox: { subscriberLimit: 100, canReadAccount: false } });
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, people(250));
    // The key goes while the outcome is not known yet.
    sandbox.addFault({ on: 'info', action: { type: 'revoke-key' } });
    const first = await runFully(sluice, exportId);
    expect(first.progress).toMatchObject({ unconfirmed: 250 });
    sandbox.restoreKey();
    await sluice.query('mutation ($id: ID!) { connect(connectionId: $id) { id } }', {
      id: engine.connectionId,
    });
    sandbox.set({ subscriberLimit: null });
    expect(await runFully(sluice, exportId)).toMatchObject({
      state: 'SUCCEEDED',
      progress: { unchanged: 100, confirmed: 150 },
    });
  });
});
