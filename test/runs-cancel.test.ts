import {
  exportOf,
  finish,
  held,
  imports,
  people,
  rejectionsOf,
  runFully,
  startEngine,
  stoppedTime,
  UNHURRIED,
  wanted,
} from './helpers/engine.js';
import { startRun } from './helpers/flows.js';
import type { Sluice } from './helpers/sluice.js';

const BATCHES = 40;

interface CancelledRun {
  readonly state: string;
  readonly cancelRequestedAt: string | null;
  readonly finishedAt: string | null;
}

async function cancel(sluice: Sluice, id: string): Promise<CancelledRun> {
  const { cancelExportRun } = await sluice.query<{ cancelExportRun: CancelledRun }>(
    'mutation ($id: ID!) { cancelExportRun(id: $id) { state cancelRequestedAt finishedAt } }',
    { id },
  );
  return cancelExportRun;
}

async function membersOf(sluice: Sluice, id: string): Promise<number | null> {
  const { exportRun } = await sluice.query<{ exportRun: { progress: { members: number | null } } }>(
    'query ($id: ID!) { exportRun(id: $id) { progress { members } } }',
    { id },
  );
  return exportRun.progress.members;
}

describe('people of a batch that may have arrived', () => {
  it('are unconfirmed, not unsent, when the run is cancelled after a later try was surely in vain', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, people(200));
    sandbox.addFault({ on: 'importer', action: { type: 'reset', when: 'after' } });
    sandbox.addFault({
      on: 'importer',
      nth: 2,
      times: null,
      action: { type: 'rate-limit', retryAfterSeconds: 100_000 },
    });
    const refused = sandbox.nextCall((call) => call.kind === 'importer' && call.status === 429);
    const runId = await startRun(sluice, exportId);
    await refused;
    await cancel(sluice, runId);

    const run = await finish(sluice, runId);
    expect(run).toMatchObject({ state: 'CANCELED', progress: { unconfirmed: 200, notSent: 0 } });
    expect(sandbox.contactCount).toBe(200);
  });
});

describe('a run that is cancelled', () => {
  it('while it waits for the one before it is CANCELED at once, and that one goes on', async () => {
    const time = stoppedTime();
    await using engine = await startEngine({ sandbox: time.sandbox });
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(3));
    const accepted = sandbox.next('accepted');
    const active = await startRun(sluice, exportId);
    await accepted;
    const queued = await startRun(sluice, exportId);
    const canceled = await cancel(sluice, queued);
    expect(canceled).toEqual({
      state: 'CANCELED',
      cancelRequestedAt: expect.any(String) as string,
      finishedAt: canceled.cancelRequestedAt,
    });
    expect(await finish(sluice, queued)).toMatchObject({ state: 'CANCELED', progress: { toSend: 0 } });
    time.letGo();
    expect(await finish(sluice, active)).toMatchObject({ state: 'SUCCEEDED', progress: { confirmed: 3 } });
    expect(imports(sandbox)).toHaveLength(1);
  });

  it('while it sends is CANCELING until what was accepted is decided, and nobody is lost', async () => {
    const time = stoppedTime();
    await using engine = await startEngine({ sandbox: time.sandbox, sluice: UNHURRIED });
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(250 * BATCHES));
    const third = sandbox.next('accepted', () => sandbox.batches().length === 3);
    const runId = await startRun(sluice, exportId);
    await third;
    expect(await cancel(sluice, runId)).toMatchObject({ state: 'CANCELING', finishedAt: null });
    expect(await cancel(sluice, runId)).toMatchObject({ state: 'CANCELING' });
    await sluice.query('{ me { id } }');
    const sent = imports(sandbox).length;
    time.letGo();
    const run = await finish(sluice, runId);
    expect(run).toMatchObject({
      state: 'CANCELED',
      problem: null,
      progress: {
        accepted: 250 * sent,
        confirmed: 250 * sent,
        unconfirmed: 0,
        notSent: 250 * (BATCHES - sent),
      },
    });
    expect(imports(sandbox)).toHaveLength(sent);
    expect(await cancel(sluice, runId)).toMatchObject({ state: 'CANCELED' });

    // The next run sends everything that is missing.
    expect(await runFully(sluice, exportId)).toMatchObject({ state: 'SUCCEEDED' });
    expect(held(sandbox)).toEqual(wanted(250 * BATCHES));
  });

  it('before anything was sent ends as if it had looked at nobody', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(500));
    sandbox.addFault({ on: 'lists', action: { type: 'slow', delayMs: 30_000_000 } });
    const looked = sandbox.next('request', ({ kind }) => kind === 'lists');
    const runId = await startRun(sluice, exportId);
    await looked;
    expect(await cancel(sluice, runId)).toMatchObject({ state: 'CANCELING' });
    expect(await finish(sluice, runId)).toMatchObject({
      state: 'CANCELED',
      progress: { members: null, skipped: 0, toSend: 0, notSent: 0 },
    });
    expect(imports(sandbox)).toEqual([]);
  });

  it('while it prepares leaves nothing behind that a later run could stumble over', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, `${people(60_000)}0,bad,,,\n`);
    const runId = await startRun(sluice, exportId);
    // Once it is known how many there are, they are being mapped.
    while ((await membersOf(sluice, runId)) === null);
    await cancel(sluice, runId);
    const run = await finish(sluice, runId);
    expect(run.state).toBe('CANCELED');
    expect(run.progress).toMatchObject({ members: null, skipped: 0, confirmed: 0, accepted: 0 });
    expect(await rejectionsOf(sluice, run.id)).toEqual([]);
    expect(imports(sandbox)).toEqual([]);

    await sluice.importCsv(people(3), { segment: 'All', mode: 'replace' });
    expect(await runFully(sluice, exportId)).toMatchObject({
      progress: { members: 3, toSend: 3, confirmed: 3 },
    });
    expect(held(sandbox)).toEqual(wanted(3));
  });

  it('is not there: NOT_FOUND', async () => {
    await using engine = await startEngine();
    await expect(cancel(engine.sluice, 'nothing')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
