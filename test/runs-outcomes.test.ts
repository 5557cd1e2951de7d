import { connectionCalls } from './helpers/connection-calls.js';
import {
  exportOf,
  fastTime,
  held,
  imports,
  people,
  rejectionsOf,
  runFully,
  startEngine,
  wanted,
} from './helpers/engine.js';
import { connectedConnection } from './helpers/flows.js';
import { startSluice } from './helpers/sluice.js';
import { startStub } from './helpers/stub-destination.js';

describe('a batch that was accepted', () => {
  it.each(['failed', 'interrupted'] as const)('and then %s is sent again', async (status) => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(700));
    sandbox.addFault({ on: 'importer', nth: 2, times: 2, action: { type: 'batch', status, processed: 100 } });
    const run = await runFully(sluice, exportId);
    expect(run).toMatchObject({
      state: 'SUCCEEDED',
      progress: { toSend: 700, accepted: 700, confirmed: 700 },
    });
    expect(imports(sandbox)).toHaveLength(5);
    expect(held(sandbox)).toEqual(wanted(700));
    expect(sandbox.overlaps()).toEqual([]);
  });

  it('and fails each time is sent two times more, then its people are unconfirmed', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(3));
    sandbox.addFault({
      on: 'importer',
      times: null,
      action: { type: 'batch', status: 'failed', processed: 0 },
    });
    const run = await runFully(sluice, exportId);
    expect(run).toMatchObject({
      state: 'SUCCEEDED_WITH_WARNINGS',
      progress: { toSend: 3, accepted: 3, confirmed: 0, rejected: 0, unconfirmed: 3, notSent: 0 },
    });
    expect(imports(sandbox)).toHaveLength(3);
    expect((await rejectionsOf(sluice, run.id)).map(({ reason }) => reason)).toEqual(
      Array(3).fill('UNCONFIRMED'),
    );
  });

  it('and never decided counts as lost after five minutes, not before', async () => {
    const time = fastTime(1_000);
    await using engine = await startEngine({ sluice: time });
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(300));
    sandbox.addFault({ on: 'importer', action: { type: 'withhold', status: 'active' } });
    const acceptedAt: number[] = [];
    sandbox.on('accepted', () => acceptedAt.push(time.clock.monotonic()));
    const run = await runFully(sluice, exportId);
    expect(run).toMatchObject({ state: 'SUCCEEDED', progress: { accepted: 300, confirmed: 300 } });
    expect(imports(sandbox).map(({ contacts }) => contacts)).toEqual([250, 50, 250]);
    expect((acceptedAt[2] ?? 0) - (acceptedAt[0] ?? 0)).toBeGreaterThanOrEqual(5 * 60_000);
  });

  it.each([false, 'waiting', 'claimed', 'active'] as const)(
    'and stays %s for ever is sent three times in all',
    async (status) => {
      await using engine = await startEngine({ sluice: fastTime(4_000) });
      const { sandbox, sluice } = engine;
      const exportId = await exportOf(engine, people(2));
      sandbox.addFault({ on: 'importer', times: null, action: { type: 'withhold', status } });
      const run = await runFully(sluice, exportId);
      expect(run).toMatchObject({
        state: 'SUCCEEDED_WITH_WARNINGS',
        progress: { confirmed: 0, unconfirmed: 2, rejected: 0, notSent: 0 },
      });
      expect(imports(sandbox)).toHaveLength(3);
      expect((await rejectionsOf(sluice, run.id))[0]).toMatchObject({
        reason: 'UNCONFIRMED',
        detail: 'The destination accepted the batch, but never said what became of it.',
      });
    },
  );

  it('and reports a failure of nobody that was in it is unconfirmed as a whole', async () => {
    let batches = 0;
    const stub = await startStub(({ path }) => {
      if (path.startsWith('/import/bulk_import')) return { body: { success: 1, batchId: `b-${++batches}` } };
      if (path.startsWith('/import/info')) {
        const failure = path.endsWith('b-1') ? ['P000003@EXAMPLE.com'] : ['somebody.else@example.com'];
        return { body: { status: 'completed', success: [], failure } };
      }
      if (path.startsWith('/users/me')) return { body: { user: { id: '1', links: {} } } };
      return { body: { list: { id: '1', name: 'Newsletter' }, lists: [{ id: '1', name: 'Newsletter' }] } };
    });
    await using sluice = await startSluice({ sandbox: stub });
    const connectionId = await connectedConnection(sluice, { host: stub.host, token: 'key' });
    const run = await runFully(sluice, await exportOf({ sluice, connectionId }, people(300)));
    await stub.close();
    expect(run).toMatchObject({
      state: 'SUCCEEDED_WITH_WARNINGS',
      progress: { toSend: 300, confirmed: 249, rejected: 1, unconfirmed: 50, notSent: 0 },
    });
    const rejections = await rejectionsOf(sluice, run.id);
    expect(rejections.filter(({ reason }) => reason === 'REFUSED_BY_DESTINATION')).toMatchObject([
      { profileId: '3', email: 'p000003@example.com' },
    ]);
    expect(rejections.filter(({ reason }) => reason === 'UNCONFIRMED')).toHaveLength(50);
  });
});

describe('a destination that changes under a run', () => {
  it('fails the run when its list is gone, whatever was accepted', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(1_000));
    sandbox.addFault({ on: 'importer', nth: 3, action: { type: 'delete-list', list: 1 } });
    const run = await runFully(sluice, exportId);
    expect(run).toMatchObject({ state: 'FAILED', problem: { code: 'LIST_GONE' } });
    expect(run.problem?.message).toContain('1');
  });

  it('does not blame people for a list that is gone', async () => {
    await using engine = await startEngine({ sandbox: { unknownList: 'refused' } });
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(1_000));
    sandbox.addFault({ on: 'importer', nth: 2, action: { type: 'delete-list', list: 1 } });
    const run = await runFully(sluice, exportId);
    expect(run).toMatchObject({ state: 'FAILED', problem: { code: 'LIST_GONE' } });
    expect(run.progress).toMatchObject({ toSend: 1_000, rejected: 0, notSent: 750 });
  });

  it('sends nothing when the list is gone before the run begins', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(3));
    sandbox.deleteList(1);
    expect(await runFully(sluice, exportId)).toMatchObject({
      state: 'FAILED',
      problem: { code: 'LIST_GONE' },
      progress: { members: null, toSend: 0, notSent: 0 },
    });
    expect(imports(sandbox)).toEqual([]);
  });

  it('fails the run when its key is revoked, and shows it at the connection', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice, connectionId } = engine;
    const exportId = await exportOf(engine, people(1_500));
    sandbox.addFault({ on: 'importer', nth: 4, action: { type: 'revoke-key' } });
    const run = await runFully(sluice, exportId);
    expect(run).toMatchObject({ state: 'FAILED', problem: { code: 'WRONG_KEY' } });
    const { confirmed, unconfirmed, notSent, rejected } = run.progress;
    // Those that were on their way together arrive in any order.
    const taken = 250 * imports(sandbox).filter(({ status }) => status === 200).length;
    expect(taken).toBeLessThan(1_500);
    expect(confirmed + unconfirmed).toBe(taken);
    expect([rejected, notSent]).toEqual([0, 1_500 - taken]);
    expect(await connectionCalls(sluice).get(connectionId)).toMatchObject({
      state: 'FAILING',
      problem: { code: 'WRONG_KEY' },
    });
    const refused = sluice.query('mutation ($id: ID!) { runExport(exportId: $id) { id } }', { id: exportId });
    await expect(refused).rejects.toMatchObject({ code: 'CONNECTION_FAILED' });

    // Mended, everything goes on.
    sandbox.restoreKey();
    await connectionCalls(sluice).connect(connectionId);
    expect(await runFully(sluice, exportId)).toMatchObject({
      state: 'SUCCEEDED',
      // What became of the accepted batches was asked for first.
      progress: { unchanged: taken, toSend: 1_500 - taken, confirmed: 1_500 - taken },
    });
    expect(held(sandbox)).toEqual(wanted(1_500));
  });
});
