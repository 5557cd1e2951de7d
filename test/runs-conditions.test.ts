import { connectionCalls, refusalOf } from './helpers/connection-calls.js';
import {
  exportOf,
  finish,
  imports,
  people,
  runFully,
  startEngine,
  stoppedTime,
  UNHURRIED,
  type Engine,
} from './helpers/engine.js';
import { startRun } from './helpers/flows.js';
import { setDisabled, setRole, signedInAs } from './helpers/people.js';

const BATCHES = 40;

/** What somebody may do while a run is under way, and the problem with which the run then ends. */
const CHANGES: [string, string, (engine: Engine, exportId: string) => Promise<unknown>][] = [
  [
    'the consent is withdrawn',
    'CONSENT_REQUIRED',
    ({ sluice, connectionId }) => connectionCalls(sluice).withdrawConsent(connectionId),
  ],
  [
    'the key of the connection is changed',
    'CONNECTION_CHANGED',
    ({ sluice, connectionId, sandbox }) =>
      connectionCalls(sluice).update(connectionId, { apiKey: sandbox.token }),
  ],
  [
    'the export is detached',
    'DETACHED',
    ({ sluice }, exportId) =>
      sluice.query('mutation ($ids: [ID!]!) { detachExports(ids: $ids) { id } }', { ids: [exportId] }),
  ],
  [
    'the export user is disabled',
    'EXPORT_USER_UNABLE',
    async (engine) => setDisabled(engine.sluice, await anotherExportUser(engine), true),
  ],
  [
    'the export user is demoted',
    'EXPORT_USER_UNABLE',
    async (engine) => setRole(engine.sluice, await anotherExportUser(engine), 'CONTRIBUTOR'),
  ],
];

/** An administrator who is made export user and may go again. Answers the id. */
async function anotherExportUser({ sluice, connectionId }: Engine): Promise<string> {
  const other = await signedInAs(sluice, 'ADMINISTRATOR');
  await connectionCalls(other).becomeExportUser(connectionId);
  return other.userId;
}

describe('while a run is under way', () => {
  it.each(CHANGES)(
    'and %s, no batch is sent any more, and receipts are followed up',
    async (_when, code, change) => {
      const time = stoppedTime();
      await using engine = await startEngine({ sandbox: time.sandbox, sluice: UNHURRIED });
      const { sandbox, sluice } = engine;
      const exportId = await exportOf(engine, people(250 * BATCHES));
      const third = sandbox.next('accepted', () => sandbox.batches().length === 3);
      const runId = await startRun(sluice, exportId);
      await third;
      await change(engine, exportId);
      // A call that was on its way arrives before the answer to a question that was asked later.
      await sluice.query('{ me { id } }');
      const sent = imports(sandbox).length;
      time.letGo();

      const run = await finish(sluice, runId);
      expect(run).toMatchObject({ state: 'FAILED', problem: { code } });
      expect(imports(sandbox)).toHaveLength(sent);
      expect(sent).toBeLessThan(BATCHES);
      expect(run.progress).toMatchObject({
        toSend: 250 * BATCHES,
        accepted: 250 * sent,
        confirmed: 250 * sent,
        rejected: 0,
        unconfirmed: 0,
        notSent: 250 * (BATCHES - sent),
      });
      expect(sandbox.contactCount).toBe(250 * sent);
    },
  );

  it('and the host of the connection is changed, what was accepted stays unconfirmed: the key is forgotten', async () => {
    const time = stoppedTime();
    await using engine = await startEngine({ sandbox: time.sandbox, sluice: UNHURRIED });
    const { sandbox, sluice, connectionId } = engine;
    const exportId = await exportOf(engine, people(250 * BATCHES));
    const first = sandbox.next('accepted');
    const runId = await startRun(sluice, exportId);
    await first;
    await connectionCalls(sluice).update(connectionId, { host: 'other.api-us1.com' });
    const run = await finish(sluice, runId);
    expect(run).toMatchObject({ state: 'FAILED', problem: { code: 'CONNECTION_CHANGED' } });
    expect(run.progress.confirmed).toBe(0);
    expect(run.progress.unconfirmed).toBe(250 * imports(sandbox).length);
  });
});

describe('while the last outcomes are awaited', () => {
  it('and the host of the connection is changed, nothing is asked at the new host, and the list is not blamed', async () => {
    const time = stoppedTime();
    await using engine = await startEngine({ sandbox: time.sandbox });
    const { sandbox, sluice, connectionId } = engine;
    const exportId = await exportOf(engine, people(500));
    const accepted = sandbox.next('accepted', () => sandbox.batches().length === 2);
    const runId = await startRun(sluice, exportId);
    await accepted;
    await connectionCalls(sluice).update(connectionId, { host: 'other.api-us1.com', apiKey: sandbox.token });
    time.letGo();

    const run = await finish(sluice, runId);
    expect(run).toMatchObject({ problem: { code: 'CONNECTION_CHANGED' } });
    expect(run.progress).toMatchObject({ toSend: 500, confirmed: 0, unconfirmed: 500, notSent: 0 });
  });
});

describe('a run is refused', () => {
  it('without consent, without an export user, on a connection that is not connected, and when detached', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice, connectionId } = engine;
    const connections = connectionCalls(sluice);
    const exportId = await exportOf(engine, people(3));
    const run = (id = exportId) =>
      refusalOf(sluice.query('mutation ($id: ID!) { runExport(exportId: $id) { id } }', { id }));

    await connections.withdrawConsent(connectionId);
    expect(await run()).toMatchObject({ code: 'CONSENT_REQUIRED', remedy: expect.any(String) as string });
    await connections.giveConsent(connectionId);
    await connections.update(connectionId, { apiKey: sandbox.token });
    expect(await run()).toMatchObject({ code: 'CONNECTION_FAILED' });
    await connections.connect(connectionId);
    await sluice.query('mutation ($id: ID!) { detachExports(ids: [$id]) { id } }', { id: exportId });
    expect(await run()).toMatchObject({ code: 'CONFLICT' });
    expect(await run('nothing')).toMatchObject({ code: 'NOT_FOUND' });
    expect(imports(sandbox)).toEqual([]);

    await sluice.query(
      'mutation ($id: ID!, $connectionId: ID!) { attachExport(id: $id, connectionId: $connectionId) { id } }',
      { id: exportId, connectionId },
    );
    expect(await runFully(sluice, exportId)).toMatchObject({
      state: 'SUCCEEDED',
      progress: { confirmed: 3 },
    });
  });
});
