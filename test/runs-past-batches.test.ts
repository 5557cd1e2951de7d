import type { FaultAction } from '../sandbox/faults.js';
import type { Sandbox } from '../sandbox/sandbox.js';
import { systemClock, type Clock } from '../src/clock.js';
import {
  emailOf,
  exportOf,
  fastTime,
  finish,
  imports,
  people,
  rejectionsOf,
  runFully,
  startEngine,
  type Engine,
} from './helpers/engine.js';
import { startRun } from './helpers/flows.js';
import { OFF_LIST, ON_LIST, setMembers, standing } from './helpers/returning.js';
import { startSluice, temporaryFolder } from './helpers/sluice.js';

const FORGOTTEN = {
  type: 'answer',
  status: 404,
  body: '{"message":"No Result found for Batch"}',
  contentType: 'application/json',
} as const satisfies FaultAction;

/** The destination still works on the batch. */
const UNDER_WAY = {
  type: 'answer',
  status: 200,
  body: '{"status":"active","success":[],"failure":[]}',
  contentType: 'application/json',
} as const satisfies FaultAction;

/** The batches that `questions` were asked for, in the order of the questions. */
const askedFor = (sandbox: Sandbox, after = 0): string[] =>
  sandbox.log
    .slice(after)
    .filter(({ kind }) => kind === 'info')
    .map(({ query }) => new URLSearchParams(query).get('batchId') ?? '');

/** Runs an export so that everything it sends is accepted, and nobody learns the outcome: the key stops working. */
async function runWithoutOutcome({ sandbox, sluice, connectionId }: Engine, exportId: string) {
  const batches = sandbox.batches().length;
  sandbox.addFault({ on: 'info', times: null, action: { type: 'revoke-key' } });
  const run = await runFully(sluice, exportId);
  expect(run.progress.unconfirmed).toBeGreaterThan(0);
  sandbox.clearFaults();
  sandbox.restoreKey();
  await sluice.query('mutation ($id: ID!) { connect(connectionId: $id) { id } }', { id: connectionId });
  return sandbox
    .batches()
    .slice(batches)
    .map(({ batchId }) => batchId);
}

/** The machine's clock, but who sleeps for so long or longer is woken by nothing but the signal. */
function withEndlessWaits(fromMs: number): Clock {
  return {
    ...systemClock,
    sleep: (ms, signal) =>
      ms < fromMs
        ? systemClock.sleep(ms, signal)
        : new Promise((_, reject) => {
            const giveUp = () => {
              reject(signal?.reason as Error);
            };
            if (signal?.aborted) giveUp();
            else signal?.addEventListener('abort', giveUp, { once: true });
          }),
  };
}

describe('a batch of an earlier run', () => {
  it.each<[string, FaultAction]>([
    ['404 as JSON', FORGOTTEN],
    ['500', { type: 'answer', status: 500 }],
    ['429', { type: 'rate-limit' }],
    ['a page in HTML', { type: 'html' }],
    ['nothing, because the connection breaks', { type: 'reset', when: 'before' }],
  ])(
    'whose outcome is asked for and answered with %s counts as unknown after three tries, once',
    async (_name, action) => {
      await using engine = await startEngine();
      const { sandbox, sluice } = engine;
      const exportId = await exportOf(engine, people(3));
      const [batchId = ''] = await runWithoutOutcome(engine, exportId);
      sandbox.addFault({ on: 'info', containing: batchId, times: null, action });
      const before = sandbox.log.length;

      const run = await runFully(sluice, exportId);

      expect(run).toMatchObject({
        state: 'SUCCEEDED',
        problem: null,
        progress: { unchanged: 0, toSend: 3, confirmed: 3 },
      });
      const questions = sandbox.log.slice(before).filter(({ query }) => query.includes(batchId));
      expect(questions).toHaveLength(3);
      expect((questions[2]?.at ?? 0) - (questions[0]?.at ?? 0)).toBeGreaterThanOrEqual(60_000);

      const after = sandbox.log.length;
      expect((await runFully(sluice, exportId)).progress).toMatchObject({ unchanged: 3, toSend: 0 });
      expect(askedFor(sandbox, after)).toEqual([]);
    },
  );

  it('is asked about together with others, so that many cost no more time than one', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(5_000));
    const batchIds = await runWithoutOutcome(engine, exportId);
    sandbox.addFault({ on: 'info', times: null, action: FORGOTTEN });
    const before = sandbox.log.length;
    // The first batch that is accepted again: from then on the importer is asked about new ones.
    const stop = sandbox.on('accepted', () => {
      stop();
      sandbox.clearFaults();
    });

    expect((await runFully(sluice, exportId)).state).toBe('SUCCEEDED');

    const asked = askedFor(sandbox, before).slice(0, 3 * batchIds.length);
    for (const round of [0, 1, 2]) {
      const questions = asked.slice(round * batchIds.length, (round + 1) * batchIds.length);
      expect([...questions].sort()).toEqual([...batchIds].sort());
    }
  });

  it('that removed people and stays unknown leaves them in doubt: they are removed again, and may return', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(4), { leavers: 'UNSUBSCRIBE', leaverHoldPercent: 100 });
    await runFully(sluice, exportId);
    await setMembers(engine, [3, 4]);
    const [batchId = ''] = await runWithoutOutcome(engine, exportId);
    expect([1, 2].map((n) => standing(sandbox, n))).toEqual([OFF_LIST, OFF_LIST]);
    sandbox.addFault({ on: 'info', containing: batchId, times: null, action: FORGOTTEN });
    await setMembers(engine, [2, 3, 4]);

    const run = await runFully(sluice, exportId);

    expect(run).toMatchObject({ progress: { unchanged: 2, leavers: 1, toSend: 2 } });
    expect(standing(sandbox, 1)).toBe(OFF_LIST);
    expect(sandbox.summary().invariants).toMatchObject({ overriddenOptOuts: 0 });
  });

  it('is asked about when the destination is back, and not given up before', async () => {
    await using engine = await startEngine({ sluice: fastTime(1_000) });
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(3));
    await runWithoutOutcome(engine, exportId);
    const before = imports(sandbox).length;
    // The list was found; from the first question on nothing is answered, for longer than three questions take.
    sandbox.addFault({ on: 'any', nth: 2, times: 20, action: { type: 'answer', status: 502 } });

    const run = await runFully(sluice, exportId);

    expect(run).toMatchObject({ state: 'SUCCEEDED', progress: { unchanged: 3, toSend: 0 } });
    expect(imports(sandbox)).toHaveLength(before);
    expect(sandbox.faults()).toMatchObject([{ struck: 20 }]);
  });

  it('that the destination says for ever it still works on blocks one run for five minutes, once', async () => {
    const time = fastTime(200);
    await using engine = await startEngine({ sluice: time });
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(3));
    const [batchId = ''] = await runWithoutOutcome(engine, exportId);
    sandbox.addFault({ on: 'info', containing: batchId, times: null, action: UNDER_WAY });
    const askedAt: number[] = [];
    const stop = sandbox.on('call', ({ query }) => {
      if (query.includes(batchId)) askedAt.push(time.clock.monotonic());
    });

    expect(await runFully(sluice, exportId)).toMatchObject({
      state: 'SUCCEEDED',
      progress: { unchanged: 0, toSend: 3, confirmed: 3 },
    });
    const [first = 0] = askedAt;
    expect((askedAt.at(-1) ?? 0) - first).toBeGreaterThan(4 * 60_000);
    expect(askedAt.length).toBeGreaterThanOrEqual(5);

    const questions = askedAt.length;
    expect((await runFully(sluice, exportId)).progress).toMatchObject({ unchanged: 3, toSend: 0 });
    expect(askedAt).toHaveLength(questions);
    stop();
  });

  it.each<[string, FaultAction]>([
    ['nobody answers for', FORGOTTEN],
    ['the destination still works on', UNDER_WAY],
  ])('that %s keeps no run from being cancelled, and is left to the next one', async (_name, action) => {
    await using folder = await temporaryFolder();
    await using engine = await startEngine({ sluice: { folder: folder.path } });
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(3));
    const [batchId = ''] = await runWithoutOutcome(engine, exportId);
    sandbox.addFault({ on: 'info', containing: batchId, times: null, action });
    await sluice.stop();
    // At real pace four seconds or more pass between two questions; here it does not pass at all.
    await using real = await startSluice({
      sandbox,
      folder: folder.path,
      clock: withEndlessWaits(3_000),
      env: { SLUICE_SANDBOX_TIME_SCALE: '1' },
    });
    const asked = sandbox.nextCall(({ kind }) => kind === 'info');
    const runId = await startRun(real, exportId);
    await asked;
    await real.query('mutation ($id: ID!) { cancelExportRun(id: $id) { id } }', { id: runId });

    expect(await finish(real, runId)).toMatchObject({ state: 'CANCELED' });
    expect(askedFor(sandbox).filter((id) => id === batchId)).toHaveLength(2);
    sandbox.clearFaults();
    expect((await runFully(real, exportId)).progress).toMatchObject({ unchanged: 3, toSend: 0 });
  });
});

describe('a batch of the run itself', () => {
  it('whose receipt is forgotten is sent again a few times, then its people are unconfirmed', async () => {
    // A batch counts as lost after five minutes, three times over.
    await using engine = await startEngine({ sluice: fastTime(500) });
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(2));
    sandbox.addFault({ on: 'info', times: null, action: FORGOTTEN });

    const run = await runFully(sluice, exportId);

    expect(run).toMatchObject({
      state: 'SUCCEEDED_WITH_WARNINGS',
      progress: { toSend: 2, unconfirmed: 2, rejected: 0, notSent: 0 },
    });
    expect((await rejectionsOf(sluice, run.id)).map(({ reason }) => reason)).toEqual([
      'UNCONFIRMED',
      'UNCONFIRMED',
    ]);
    expect(imports(sandbox).length).toBeLessThanOrEqual(4);
  });

  it('is not lost while the destination is away: it is asked about when it is back', async () => {
    // A batch counts as lost after five minutes.
    await using engine = await startEngine({ sluice: fastTime(1_000) });
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(2));
    let probes = 0;
    const stop = sandbox.on('call', ({ kind }) => {
      if (kind === 'lists') probes += 1;
      // The outage lasts until the batch is late and other questions were asked; or until it was sent again.
      if (probes === 3 || (kind === 'importer' && imports(sandbox).length > 1)) sandbox.clearFaults();
    });
    const accepted = sandbox.next('accepted');
    const runId = await startRun(sluice, exportId);
    await accepted;
    probes = 0;
    sandbox.addFault({ on: 'any', times: null, action: { type: 'answer', status: 502 } });
    const run = await finish(sluice, runId).finally(stop);

    expect(run).toMatchObject({ state: 'SUCCEEDED', progress: { confirmed: 2 } });
    expect(imports(sandbox)).toHaveLength(1);
    expect(sandbox.contact(emailOf(1))?.lists[0]?.status).toBe(ON_LIST);
  });
});
