import type { FaultAction } from '../sandbox/faults.js';
import { unprovenTriesIn } from './helpers/batch-rows.js';
import {
  emailOf,
  exportOf,
  fastTime,
  finish,
  held,
  imports,
  people,
  rejectionsOf,
  runFully,
  startEngine,
  wanted,
} from './helpers/engine.js';
import { connectedConnection, startRun } from './helpers/flows.js';
import { startProgram } from './helpers/program.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { createPatience } from './helpers/patience.js';
import { mostSends, sends } from './helpers/sends.js';
import { startSluice, temporaryFolder, type Sluice } from './helpers/sluice.js';

/** Nobody knows how it ended: the first try and two further ones. */
const TRIES = 3;
/** After this long the next run sends them again without another proof. */
const HOUR_MS = 3_600_000;
/** Each life of a process takes some seconds to start. */
const PATIENCE_MS = 120_000;
const KEEP = { sandbox: { keepBodies: true } };

describe('a batch of which nothing proves that it was not taken', () => {
  const unproven: [string, FaultAction][] = [
    ['a connection that breaks after the batch was accepted', { type: 'reset', when: 'after' }],
    ['a connection that breaks before the batch was accepted', { type: 'reset', when: 'before' }],
    ['an answer that breaks off', { type: 'truncate' }],
    ['an answer of which half is missing', { type: 'truncate', cleanly: true }],
    ['a web page with status 200', { type: 'html' }],
    ['500', { type: 'answer', status: 500 }],
    ['500 with Retry-After', { type: 'answer', status: 500, retryAfterSeconds: 2 }],
    ['502', { type: 'html', status: 502 }],
    ['504', { type: 'answer', status: 504 }],
    ['a redirect', { type: 'redirect' }],
    ['a loss after it was accepted', { type: 'batch', status: 'failed', processed: 2 }],
  ];

  it.each(unproven)('is sent two times more, then its people are unconfirmed: %s', async (_name, action) => {
    const time = fastTime(1_000);
    await using engine = await startEngine({ ...KEEP, sluice: time });
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(3));
    sandbox.addFault({ on: 'importer', times: null, action });

    const run = await runFully(sluice, exportId);

    expect(run).toMatchObject({
      state: 'SUCCEEDED_WITH_WARNINGS',
      problem: null,
      progress: { toSend: 3, confirmed: 0, rejected: 0, unconfirmed: 3, notSent: 0 },
    });
    expect([...sends(sandbox).values()]).toEqual([TRIES, TRIES, TRIES]);
    const rejections = await rejectionsOf(sluice, run.id);
    expect(rejections.map(({ reason }) => reason)).toEqual(Array(3).fill('UNCONFIRMED'));
    if (action.type !== 'batch') {
      expect(rejections[0]?.detail).toMatch(/sends these people again; automations may start twice/);
    }

    sandbox.clearFaults();
    time.pass(HOUR_MS);
    const next = await runFully(sluice, exportId);
    expect(next).toMatchObject({ state: 'SUCCEEDED', progress: { toSend: 3, confirmed: 3 } });
    expect(held(sandbox)).toEqual(wanted(3));
  });

  it('is sent two times more after a request that nobody answered in time', async () => {
    const patience = createPatience();
    const { startDeadline } = patience;
    await using engine = await startEngine({ ...KEEP, sluice: { ...fastTime(1_000), startDeadline } });
    const { sandbox, sluice } = engine;
    patience.runOutAt(sandbox);
    const exportId = await exportOf(engine, people(2));
    sandbox.addFault({ on: 'importer', times: null, action: { type: 'hang', when: 'after' } });
    expect(await runFully(sluice, exportId)).toMatchObject({ progress: { unconfirmed: 2 } });
    expect(mostSends(sandbox)).toBe(TRIES);
  });

  it('counts failures and losses together, whatever the order', async () => {
    await using engine = await startEngine({ ...KEEP, sluice: fastTime(1_000) });
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(2));
    const lost: FaultAction = { type: 'batch', status: 'interrupted', processed: 1 };
    const actions: FaultAction[] = [lost, { type: 'rate-limit' }, { type: 'answer', status: 500 }, lost];
    actions.forEach((action, index) => sandbox.addFault({ on: 'importer', nth: index + 1, action }));
    expect(await runFully(sluice, exportId)).toMatchObject({ progress: { accepted: 2, unconfirmed: 2 } });
    expect(mostSends(sandbox)).toBe(TRIES);
    expect(imports(sandbox)).toHaveLength(actions.length);
  });

  it('is asked about first by the next run if it has a receipt', async () => {
    await using engine = await startEngine({ ...KEEP, sluice: fastTime(1_000) });
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(2));
    // Five minutes after its acceptance a batch counts as lost; until then it is asked about every four seconds.
    const polls = 2 * (300 / 4);
    sandbox.addFault({ on: 'importer', times: TRIES, action: { type: 'withhold', status: 'active', polls } });
    expect(await runFully(sluice, exportId)).toMatchObject({ progress: { unconfirmed: 2 } });
    expect(mostSends(sandbox)).toBe(TRIES);

    const batchId = imports(sandbox).at(-1)?.batchId ?? '';
    const headers = { 'Api-Token': sandbox.token };
    for (let left = polls; left > 0; left -= 1)
      await fetch(`${sandbox.url}/api/3/import/info?batchId=${batchId}`, { headers });
    const next = await runFully(sluice, exportId);
    expect(next).toMatchObject({ state: 'SUCCEEDED', progress: { unchanged: 2, toSend: 0 } });
    expect(mostSends(sandbox)).toBe(TRIES);
  });

  it('gives its tries to the halves when it is refused without a name', async () => {
    await using engine = await startEngine({ ...KEEP, sluice: fastTime(1_000) });
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(4));
    sandbox.addFault({ on: 'importer', nth: 1, action: { type: 'answer', status: 500 } });
    sandbox.addFault({ on: 'importer', nth: 2, action: { type: 'refuse', contacts: [], named: false } });
    sandbox.addFault({ on: 'importer', nth: 3, times: null, action: { type: 'reset', when: 'after' } });
    const run = await runFully(sluice, exportId);
    expect(run).toMatchObject({ progress: { toSend: 4, unconfirmed: 4, rejected: 0, notSent: 0 } });
    expect([...sends(sandbox).values()]).toEqual(Array(4).fill(TRIES));
    expect(imports(sandbox)).toHaveLength(1 + 1 + 2 * 2);
  });

  it('leaves the leavers in doubt: they are not on the list for sure, nor forgotten', async () => {
    const time = fastTime(1_000);
    await using engine = await startEngine({ ...KEEP, sluice: time });
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(20), { leavers: 'UNSUBSCRIBE' });
    await runFully(sluice, exportId);
    await sluice.importCsv(people(18), { segment: 'All' });
    const before = mostSends(sandbox);
    sandbox.addFault({ on: 'importer', times: null, action: { type: 'answer', status: 500 } });
    const run = await runFully(sluice, exportId);
    expect(run).toMatchObject({ progress: { leavers: 2, unconfirmed: 2 } });
    expect(sends(sandbox).get(emailOf(20))).toBe(before + TRIES);
    sandbox.clearFaults();
    time.pass(HOUR_MS);
    expect(await runFully(sluice, exportId)).toMatchObject({
      state: 'SUCCEEDED',
      progress: { confirmed: 2 },
    });
    expect([...sandbox.members(1)]).toHaveLength(18);
  });
});

describe('a batch that surely was not taken', () => {
  const proven: [string, FaultAction][] = [
    ['429', { type: 'rate-limit' }],
    ['503', { type: 'answer', status: 503 }],
    ["the importer's quota 400", { type: 'quota' }],
    ['400 without a reason', { type: 'answer', status: 400 }],
    ['404', { type: 'answer', status: 404 }],
    ['408', { type: 'answer', status: 408 }],
    ['409', { type: 'answer', status: 409 }],
    ['a passing 403', { type: 'answer', status: 403 }],
    ['a passing 402', { type: 'answer', status: 402 }],
  ];

  it.each(proven)('is sent until it is taken: %s', async (_name, action) => {
    await using engine = await startEngine({ ...KEEP, sluice: fastTime(1_000) });
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(3));
    sandbox.addFault({ on: 'importer', times: 6, action });
    expect(await runFully(sluice, exportId)).toMatchObject({
      state: 'SUCCEEDED',
      progress: { confirmed: 3 },
    });
    expect(imports(sandbox)).toHaveLength(7);
    expect(mostSends(sandbox)).toBe(1);
  });

  it('is told by the answer to the batch, not by what /users/me says afterwards', async () => {
    await using engine = await startEngine({ ...KEEP, sluice: fastTime(1_000) });
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(3));
    sandbox.addFault({ on: 'importer', times: 5, action: { type: 'answer', status: 403 } });
    sandbox.addFault({ on: 'me', times: 5, action: { type: 'reset', when: 'before' } });
    expect(await runFully(sluice, exportId)).toMatchObject({
      state: 'SUCCEEDED',
      progress: { confirmed: 3 },
    });
    expect(imports(sandbox)).toHaveLength(6);

    await sluice.importCsv(people(1, 4), { segment: 'All' });
    sandbox.addFault({ on: 'importer', times: null, action: { type: 'redirect' } });
    sandbox.addFault({ on: 'me', times: null, action: { type: 'rate-limit', retryAfterSeconds: 1 } });
    expect(await runFully(sluice, exportId)).toMatchObject({ progress: { unconfirmed: 1 } });
    expect(sends(sandbox).get(emailOf(4))).toBe(TRIES);
  });
});

/** Asks for a run of a process that may die of it before it has answered. */
async function requestRun(sluice: Sluice, exportId: string): Promise<void> {
  const broken = (error: unknown) => {
    expect(error).toBeInstanceOf(TypeError);
  };
  await startRun(sluice, exportId).then(() => undefined, broken);
}

async function onlyRun(sluice: Sluice): Promise<string> {
  const { exportRuns } = await sluice.query<{ exportRuns: { nodes: { id: string }[] } }>(
    '{ exportRuns { nodes { id } } }',
  );
  expect(exportRuns.nodes).toHaveLength(1);
  return exportRuns.nodes[0]?.id ?? '';
}

describe('a process that dies', () => {
  it(
    'uses up a try, before the request as well as after the batch was accepted: the fourth life does not send it again',
    async () => {
      await using folder = await temporaryFolder();
      await using sandbox = await startTestSandbox({ keepBodies: true });
      const deaths = [
        'before the request of a batch',
        'when the receipt arrives',
        'when the receipt arrives',
      ];
      expect(deaths).toHaveLength(TRIES);
      for (const [life, point] of deaths.entries()) {
        await using program = await startProgram(folder.path, sandbox, { death: { point, nth: 1 } });
        if (life === 0) {
          const connectionId = await connectedConnection(program.sluice, sandbox);
          await requestRun(
            program.sluice,
            await exportOf({ sluice: program.sluice, connectionId }, people(3)),
          );
        }
        expect(await program.ended).toBeNull();
      }
      await using last = await startSluice({ folder: folder.path, sandbox });
      expect(await finish(last, await onlyRun(last))).toMatchObject({
        state: 'SUCCEEDED_WITH_WARNINGS',
        progress: { toSend: 3, confirmed: 0, unconfirmed: 3, notSent: 0 },
      });
      expect(mostSends(sandbox)).toBe(TRIES - 1);
      expect(await unprovenTriesIn(folder.path)).toEqual([TRIES]);
    },
    PATIENCE_MS,
  );

  it(
    'between two failures adds to them',
    async () => {
      await using folder = await temporaryFolder();
      await using sandbox = await startTestSandbox({ keepBodies: true });
      sandbox.addFault({ on: 'importer', nth: 1, action: { type: 'answer', status: 500 } });
      sandbox.addFault({ on: 'importer', nth: 3, times: null, action: { type: 'truncate' } });
      {
        const death = { point: 'when the receipt arrives', nth: 2 };
        await using program = await startProgram(folder.path, sandbox, { death });
        const connectionId = await connectedConnection(program.sluice, sandbox);
        await requestRun(program.sluice, await exportOf({ sluice: program.sluice, connectionId }, people(2)));
        expect(await program.ended).toBeNull();
      }
      await using again = await startSluice({ folder: folder.path, sandbox });
      expect(await finish(again, await onlyRun(again))).toMatchObject({ progress: { unconfirmed: 2 } });
      expect(mostSends(sandbox)).toBe(TRIES);
    },
    PATIENCE_MS,
  );
});
