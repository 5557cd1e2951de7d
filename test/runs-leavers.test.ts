import type { Sandbox } from '../sandbox/sandbox.js';
import {
  emailOf,
  exportOf,
  finish,
  imports,
  people,
  rejectionsOf,
  runFully,
  startEngine,
  type Engine,
} from './helpers/engine.js';
import { createExportOf, segmentNamed, startRun, type ExportWishes } from './helpers/flows.js';
import { movableClock } from './helpers/movable-clock.js';

const LEAVERS = { leavers: 'UNSUBSCRIBE', leaverHoldPercent: 100 } as const;
/** How long a batch may be without an outcome. */
const LOST_AFTER_MS = 5 * 60_000;
const ON = 1;
const OFF = 2;

/** Where the nth person stands on the list: 1 on it, 2 taken off. */
function standing(sandbox: Sandbox, n: number, list = 1): number | undefined {
  return sandbox.contact(emailOf(n))?.lists.find((membership) => membership.list === list)?.status;
}

/** Makes these the members of the segment `All`: the nth person for each. */
async function setMembers({ sluice }: Engine, ns: readonly number[], segment = 'All'): Promise<void> {
  const [header = ''] = people(0).split('\n');
  const rows = ns.map((n) => people(1, n).split('\n')[1] ?? '');
  await sluice.importCsv([header, ...rows, ''].join('\n'), { segment });
}

/** A second export of a segment of its own to the same list. */
async function secondExport(
  engine: Engine,
  ns: readonly number[],
  wishes: Partial<ExportWishes> = LEAVERS,
): Promise<string> {
  await setMembers(engine, ns, 'Second');
  const segmentIds = [await segmentNamed(engine.sluice, 'Second')];
  return createExportOf(engine.sluice, {
    connectionId: engine.connectionId,
    segmentIds,
    name: 'Second',
    ...wishes,
  });
}

/** Waits until a run has prepared. */
async function untilSending({ sluice }: Engine, runId: string): Promise<void> {
  const events = sluice.subscribe<{ exportRunChanged: { phase: string | null } }>(
    'subscription ($runId: ID!) { exportRunChanged(runId: $runId) { phase } }',
    { runId },
  );
  for await (const { exportRunChanged } of events) {
    if (exportRunChanged.phase === 'SENDING' || exportRunChanged.phase === 'CONFIRMING') return;
  }
}

const upTo = (count: number, except: readonly number[] = []) =>
  Array.from({ length: count }, (_, index) => index + 1).filter((n) => !except.includes(n));

describe('whoever leaves the segments', () => {
  it('stays on the list under KEEP, and costs no request', async () => {
    await using engine = await startEngine();
    const exportId = await exportOf(engine, people(10));
    await runFully(engine.sluice, exportId);
    const before = imports(engine.sandbox).length;
    await setMembers(engine, upTo(10, [3]));

    const run = await runFully(engine.sluice, exportId);

    expect(run).toMatchObject({ state: 'SUCCEEDED', progress: { unchanged: 9, leavers: 0, toSend: 0 } });
    expect(imports(engine.sandbox)).toHaveLength(before);
    expect(standing(engine.sandbox, 3)).toBe(ON);
  });

  it('is taken off the list under UNSUBSCRIBE, in one batch with the newcomers', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(10), LEAVERS);
    await runFully(sluice, exportId);
    const before = imports(sandbox).length;
    await setMembers(engine, [...upTo(10, [3, 7]), 11]);

    const run = await runFully(sluice, exportId);

    expect(run).toMatchObject({
      state: 'SUCCEEDED',
      progress: { members: 9, unchanged: 8, leavers: 2, toSend: 3, confirmed: 3 },
    });
    expect(imports(sandbox)).toHaveLength(before + 1);
    expect([3, 7, 11, 1].map((n) => standing(sandbox, n))).toEqual([OFF, OFF, ON, ON]);
    expect((await runFully(sluice, exportId)).progress).toMatchObject({
      unchanged: 9,
      leavers: 0,
      toSend: 0,
    });
  });

  it('is taken off when the policy changes later', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(10));
    await runFully(sluice, exportId);
    await setMembers(engine, upTo(10, [3]));
    await runFully(sluice, exportId);
    await sluice.query(
      'mutation ($id: ID!, $input: UpdateExportInput!) { updateExport(id: $id, input: $input) { id } }',
      {
        id: exportId,
        input: { leavers: 'UNSUBSCRIBE' },
      },
    );

    expect((await runFully(sluice, exportId)).progress).toMatchObject({ leavers: 1, confirmed: 1 });
    expect(standing(sandbox, 3)).toBe(OFF);
  });

  it('loses the old address and gets the new one when the address changes', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(10), LEAVERS);
    await runFully(sluice, exportId);
    await sluice.importCsv('id,email\n3,moved@example.com\n');

    const run = await runFully(sluice, exportId);

    expect(run.progress).toMatchObject({ members: 10, unchanged: 9, leavers: 1, toSend: 2, confirmed: 2 });
    expect(standing(sandbox, 3)).toBe(OFF);
    expect(sandbox.contact('moved@example.com')?.lists[0]?.status).toBe(ON);
  });

  it('stays when a segment is inactive: nobody knows who left', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice, connectionId } = engine;
    await setMembers(engine, upTo(10), 'All');
    await setMembers(engine, [11, 12], 'Other');
    const segmentIds = [await segmentNamed(sluice, 'All'), await segmentNamed(sluice, 'Other')];
    const exportId = await createExportOf(sluice, { connectionId, segmentIds, ...LEAVERS });
    await runFully(sluice, exportId);
    await sluice.query('mutation ($id: ID!) { setSegmentState(id: $id, state: INACTIVE) { id } }', {
      id: segmentIds[1],
    });
    await setMembers(engine, upTo(10, [1]));

    expect((await runFully(sluice, exportId)).progress).toMatchObject({ members: 9, leavers: 0, toSend: 0 });
    expect([1, 11].map((n) => standing(sandbox, n))).toEqual([ON, ON]);
  });

  it('leaves only the list of the export', async () => {
    await using engine = await startEngine({ sandbox: { lists: [{ name: 'One' }, { name: 'Two' }] } });
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(5), LEAVERS);
    const other = await createExportOf(sluice, {
      connectionId: engine.connectionId,
      segmentIds: [await segmentNamed(sluice, 'All')],
      listId: '2',
    });
    await runFully(sluice, exportId);
    await runFully(sluice, other);
    await setMembers(engine, upTo(5, [2]));

    await runFully(sluice, exportId);

    expect(standing(sandbox, 2, 1)).toBe(OFF);
    expect(standing(sandbox, 2, 2)).toBe(ON);
  });
});

describe('whoever leaves one export and not another to the same list', () => {
  it('stays while the other one wants the address', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const first = await exportOf(engine, people(5), LEAVERS);
    const second = await secondExport(engine, [2, 3]);
    await runFully(sluice, first);
    await runFully(sluice, second);
    await setMembers(engine, upTo(5, [1, 2]));

    expect((await runFully(sluice, first)).progress).toMatchObject({ leavers: 1, confirmed: 1 });
    expect([1, 2].map((n) => standing(sandbox, n))).toEqual([OFF, ON]);

    // Once nobody wants the address any more, whoever runs next takes it off.
    await setMembers(engine, [3], 'Second');
    await runFully(sluice, second);
    expect(standing(sandbox, 2)).toBe(OFF);
  });

  it('stays when the other one delivered the address and keeps its leavers', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const first = await exportOf(engine, people(5), LEAVERS);
    const second = await secondExport(engine, [2, 3], { leavers: 'KEEP' });
    await runFully(sluice, first);
    await runFully(sluice, second);
    await setMembers(engine, [3], 'Second');
    await runFully(sluice, second);
    await setMembers(engine, upTo(5, [2]));

    expect((await runFully(sluice, first)).progress).toMatchObject({ leavers: 0 });
    expect(standing(sandbox, 2)).toBe(ON);
  });

  it('goes when the other one is detached', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const first = await exportOf(engine, people(5), LEAVERS);
    const second = await secondExport(engine, [2, 3]);
    await runFully(sluice, first);
    await runFully(sluice, second);
    await sluice.query('mutation ($ids: [ID!]!) { detachExports(ids: $ids) { id } }', { ids: [second] });
    await setMembers(engine, upTo(5, [2]));

    expect((await runFully(sluice, first)).progress).toMatchObject({ leavers: 1 });
    expect(standing(sandbox, 2)).toBe(OFF);
  });

  it('comes back through the other one when that one wants the address later', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const first = await exportOf(engine, people(5), LEAVERS);
    await runFully(sluice, first);
    await setMembers(engine, upTo(5, [2]));
    await runFully(sluice, first);
    expect(standing(sandbox, 2)).toBe(OFF);
    const second = await secondExport(engine, [2]);

    expect(await runFully(sluice, second)).toMatchObject({ state: 'SUCCEEDED', progress: { confirmed: 1 } });
    expect(standing(sandbox, 2)).toBe(ON);
  });
});

describe('whoever one export takes off the list while another comes to want the address', () => {
  it('is put back by the other one, even if that was cancelled before it could look', async () => {
    const clock = movableClock();
    await using engine = await startEngine({ sluice: { clock } });
    const { sandbox, sluice } = engine;
    const first = await exportOf(engine, people(3), LEAVERS);
    const second = await secondExport(engine, [1, 4, 5]);
    await runFully(sluice, first);
    await runFully(sluice, second);
    await setMembers(engine, [2, 3]);
    await runFully(sluice, first);
    await setMembers(engine, [4, 5], 'Second');
    // It takes effect, but nobody learns that before the batch counts as lost and would be sent again.
    sandbox.addFault({ on: 'importer', action: { type: 'withhold' } });
    const accepted = sandbox.next('accepted');
    const removing = await startRun(sluice, second);
    await accepted;
    await setMembers(engine, [1, 2, 3]);
    const looking = await startRun(sluice, first);
    await untilSending(engine, looking);
    await sluice.query('mutation ($id: ID!) { cancelExportRun(id: $id) { id } }', { id: looking });
    await finish(sluice, looking);
    clock.pass(LOST_AFTER_MS);
    await finish(sluice, removing);
    expect(standing(sandbox, 1)).toBe(OFF);

    await runFully(sluice, first);

    expect(standing(sandbox, 1)).toBe(ON);
    expect(sandbox.summary().invariants).toMatchObject({ overriddenOptOuts: 0 });
  });
});

describe('whoever comes back', () => {
  it('and leaves again after a run was cancelled right behind the call that put the person back, is taken off', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(3), LEAVERS);
    await runFully(sluice, exportId);
    await setMembers(engine, [2, 3]);
    await runFully(sluice, exportId);
    await setMembers(engine, [1, 2, 3]);
    // The call takes effect at once; its answer comes after the cancel.
    sandbox.addFault({ on: 'contactLists', method: 'POST', action: { type: 'slow', delayMs: 50_000_000 } });
    const put = sandbox.nextCall(({ kind, method }) => kind === 'contactLists' && method === 'POST');
    const runId = await startRun(sluice, exportId);
    await put;
    await sluice.query('mutation ($id: ID!) { cancelExportRun(id: $id) { id } }', { id: runId });
    await finish(sluice, runId);
    sandbox.clearFaults();
    expect(standing(sandbox, 1)).toBe(ON);
    await setMembers(engine, [2, 3]);

    expect((await runFully(sluice, exportId)).progress).toMatchObject({ leavers: 1, confirmed: 1 });
    expect(standing(sandbox, 1)).toBe(OFF);
  });

  it('is on the list again if we had taken the person off', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(10), LEAVERS);
    await runFully(sluice, exportId);
    await setMembers(engine, upTo(10, [3, 4]));
    await runFully(sluice, exportId);
    expect([3, 4].map((n) => standing(sandbox, n))).toEqual([OFF, OFF]);
    await setMembers(engine, upTo(10, [4]));
    await sluice.importCsv('id,first_name\n3,Changed\n');

    const run = await runFully(sluice, exportId);

    expect(run).toMatchObject({ state: 'SUCCEEDED', progress: { unchanged: 8, toSend: 1, confirmed: 1 } });
    expect([3, 4].map((n) => standing(sandbox, n))).toEqual([ON, OFF]);
    expect(sandbox.contact(emailOf(3))?.firstName).toBe('Changed');
    expect(sandbox.log.filter(({ kind }) => kind === 'contactLists' || kind === 'contacts')).toHaveLength(3);
    expect(sandbox.summary().invariants).toMatchObject({ overriddenOptOuts: 0 });
  });

  it('leaves and comes back as often as it likes', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(4), LEAVERS);
    await runFully(sluice, exportId);
    for (let round = 0; round < 3; round += 1) {
      await setMembers(engine, upTo(4, [2]));
      await runFully(sluice, exportId);
      expect(standing(sandbox, 2)).toBe(OFF);
      await setMembers(engine, upTo(4));
      expect((await runFully(sluice, exportId)).state).toBe('SUCCEEDED');
      expect(standing(sandbox, 2)).toBe(ON);
    }
  });

  it.each([
    ['by a campaign', { campaign: '7' }],
    ['without a word, before we took the person off', {}],
  ])('stays off the list whoever opted out %s', async (_when, how) => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(10), LEAVERS);
    await runFully(sluice, exportId);
    sandbox.unsubscribe(emailOf(3), 1, how);
    await setMembers(engine, upTo(10, [3]));
    await runFully(sluice, exportId);
    await setMembers(engine, upTo(10));

    const run = await runFully(sluice, exportId);

    expect(run).toMatchObject({
      state: 'SUCCEEDED_WITH_WARNINGS',
      progress: { toSend: 1, rejected: 1, confirmed: 0 },
    });
    expect(await rejectionsOf(sluice, run.id)).toMatchObject([{ email: emailOf(3), reason: 'OPTED_OUT' }]);
    expect(standing(sandbox, 3)).toBe(OFF);
    expect(sandbox.summary().invariants).toMatchObject({ overriddenOptOuts: 0, resubscriptions: 0 });

    // Not even by force.
    const { runExport } = await sluice.query<{ runExport: { id: string } }>(
      'mutation ($id: ID!) { runExport(exportId: $id, force: true) { id } }',
      { id: exportId },
    );
    expect((await finish(sluice, runExport.id)).progress).toMatchObject({ rejected: 1, confirmed: 9 });
    expect(standing(sandbox, 3)).toBe(OFF);
  });

  it('was deleted at the destination meanwhile, and is made anew', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(4), LEAVERS);
    await runFully(sluice, exportId);
    await setMembers(engine, upTo(4, [2]));
    await runFully(sluice, exportId);
    const id = sandbox.contact(emailOf(2))?.id ?? 0;
    await fetch(`http://${sandbox.host}/api/3/contacts/${id}`, {
      method: 'DELETE',
      headers: { 'Api-Token': sandbox.token },
    });
    expect(sandbox.contact(emailOf(2))).toBeUndefined();
    await setMembers(engine, upTo(4));

    expect((await runFully(sluice, exportId)).progress).toMatchObject({ toSend: 1, confirmed: 1 });
    expect(standing(sandbox, 2)).toBe(ON);
  });
});

describe('whoever opted out', () => {
  it('does not come in by a new address', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(4), LEAVERS);
    await runFully(sluice, exportId);
    sandbox.unsubscribe(emailOf(2), 1, { reason: 'too many' });
    await sluice.importCsv('id,email\n2,new@example.com\n');

    const run = await runFully(sluice, exportId);

    expect(await rejectionsOf(sluice, run.id)).toMatchObject([
      { profileId: '2', email: 'new@example.com', reason: 'OPTED_OUT' },
    ]);
    expect(sandbox.contact('new@example.com')).toBeUndefined();
    expect(imports(sandbox).at(-1)?.kind).toBe('importer');
  });

  it('does not hinder a new address of somebody who did not', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(4));
    await runFully(sluice, exportId);
    await sluice.importCsv('id,email\n2,new@example.com\n');

    expect((await runFully(sluice, exportId)).progress).toMatchObject({ toSend: 1, confirmed: 1 });
    expect(sandbox.contact('new@example.com')?.lists[0]?.status).toBe(ON);
  });
});
