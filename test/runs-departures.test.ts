import type { Sandbox } from '../sandbox/sandbox.js';
import {
  emailOf,
  finish,
  people,
  rejectionsOf,
  runFully,
  startEngine,
  type Engine,
} from './helpers/engine.js';
import {
  createExportOf,
  segmentNamed,
  startRun,
  type ExportWishes,
  type FinishedRun,
} from './helpers/flows.js';

/*
 * Whoever leaves several exports to one list, and what a run that is held, cancelled or blind to a segment says about it.
 * Every export has a segment of its own, called like the export.
 */

const ON = 1;
const OFF = 2;

/** Where the nth person stands on list 1: 1 on it, 2 taken off; undefined: never there. */
function standing(sandbox: Sandbox, n: number): number | undefined {
  return sandbox.contact(emailOf(n))?.lists.find(({ list }) => list === 1)?.status;
}

const standings = (sandbox: Sandbox, ...ns: number[]) => ns.map((n) => standing(sandbox, n));

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

/** Makes these the members of a segment: the nth person for each. */
async function setMembers({ sluice }: Engine, segment: string, ns: readonly number[]): Promise<void> {
  const [header = ''] = people(0).split('\n');
  const rows = ns.map((n) => people(1, n).split('\n')[1] ?? '');
  await sluice.importCsv([header, ...rows, ''].join('\n'), { segment });
}

/** An export of a segment of its own, under UNSUBSCRIBE unless something else is wished. */
async function exportNamed(
  engine: Engine,
  name: string,
  ns: readonly number[],
  wishes: Partial<ExportWishes> = {},
): Promise<string> {
  await setMembers(engine, name, ns);
  return createExportOf(engine.sluice, {
    connectionId: engine.connectionId,
    segmentIds: [await segmentNamed(engine.sluice, name)],
    name,
    leavers: 'UNSUBSCRIBE',
    leaverHoldPercent: 100,
    ...wishes,
  });
}

const removeProfiles = ({ sluice }: Engine, ns: readonly number[]) =>
  sluice.query('mutation ($ids: [ID!]!) { removeProfiles(ids: $ids) }', { ids: ns.map(String) });

/** Runs every export at once, as a refresh does, and waits for the end of all. */
async function runAll({ sluice }: Engine): Promise<FinishedRun[]> {
  const { runAllExports } = await sluice.query<{ runAllExports: { id: string }[] }>(
    'mutation { runAllExports { id } }',
  );
  return Promise.all(runAllExports.map(({ id }) => finish(sluice, id)));
}

const leaversOf = (runs: readonly FinishedRun[]) =>
  runs.reduce((sum, { progress }) => sum + progress.leavers, 0);
const statesOf = (runs: readonly FinishedRun[]) => [...new Set(runs.map(({ state }) => state))];

const update = ({ sluice }: Engine, id: string, input: object) =>
  sluice.query(
    'mutation ($id: ID!, $input: UpdateExportInput!) { updateExport(id: $id, input: $input) { id } }',
    {
      id,
      input,
    },
  );

async function setState({ sluice }: Engine, segment: string, state: 'ACTIVE' | 'INACTIVE'): Promise<void> {
  const id = await segmentNamed(sluice, segment);
  await sluice.query(
    'mutation ($id: ID!, $state: SegmentState!) { setSegmentState(id: $id, state: $state) { id } }',
    {
      id,
      state,
    },
  );
}

/** Watches a run until it is in that state, or phase. */
async function until({ sluice }: Engine, runId: string, what: string): Promise<void> {
  const events = sluice.subscribe<{ exportRunChanged: { state: string; phase: string | null } }>(
    'subscription ($runId: ID!) { exportRunChanged(runId: $runId) { state phase } }',
    { runId },
  );
  for await (const { exportRunChanged } of events) {
    if (exportRunChanged.state === what || exportRunChanged.phase === what) return;
  }
  throw new Error(`The run ended without being ${what}.`);
}

async function startHeld(engine: Engine, exportId: string): Promise<string> {
  const runId = await startRun(engine.sluice, exportId);
  await until(engine, runId, 'HELD');
  return runId;
}

const approve = ({ sluice }: Engine, id: string) =>
  sluice.query('mutation ($id: ID!) { approveExportRun(id: $id) { id } }', { id });

async function cancel({ sluice }: Engine, id: string): Promise<FinishedRun> {
  await sluice.query('mutation ($id: ID!) { cancelExportRun(id: $id) { id } }', { id });
  return finish(sluice, id);
}

/** Every removal that was sent is sent once: how many contacts the importer was given since. */
function sentSince({ log }: Sandbox, from: number): number {
  return log
    .slice(from)
    .reduce((sum, { kind, contacts = 0 }) => sum + (kind === 'importer' ? contacts : 0), 0);
}

/**
 * Two exports of the same people have let go of two of them, and the second one's run is about to take these off: the
 * importer refuses it as too fast until the faults are cleared.
 */
async function removalThatWaits(engine: Engine): Promise<{ first: string; removing: string }> {
  const { sandbox, sluice } = engine;
  const first = await exportNamed(engine, 'A', range(1, 10));
  const second = await exportNamed(engine, 'B', range(1, 10));
  await runAll(engine);
  await removeProfiles(engine, [1, 2]);
  await runFully(sluice, first);
  sandbox.addFault({ on: 'importer', times: null, action: { type: 'rate-limit' } });
  const refused = sandbox.nextCall(({ kind }) => kind === 'importer');
  const removing = await startRun(sluice, second);
  await refused;
  return { first, removing };
}

describe('whoever leaves two exports to one list at once', () => {
  it.each([2, 3])(
    'is off it when the runs of one refresh of %s exports have ended, and a leaver of one of them',
    async (exports) => {
      await using engine = await startEngine();
      const { sandbox } = engine;
      // More than are compared at once, so that preparations that overlapped would see each other's old state.
      for (const name of ['A', 'B', 'C'].slice(0, exports)) await exportNamed(engine, name, range(1, 7_000));
      expect(statesOf(await runAll(engine))).toEqual(['SUCCEEDED']);
      const before = sandbox.log.length;
      // Both preparations begin when the answers come.
      sandbox.addFault({ on: 'lists', times: exports, action: { type: 'slow', delayMs: 20_000_000 } });
      await removeProfiles(engine, range(1, 300));

      const runs = await runAll(engine);

      expect(statesOf(runs)).toEqual(['SUCCEEDED']);
      expect([...sandbox.members(1)]).toHaveLength(6_700);
      expect(leaversOf(runs)).toBe(300);
      expect(sentSince(sandbox, before)).toBe(300);
      expect(leaversOf(await runAll(engine))).toBe(0);
    },
  );

  it.each(['A first', 'B first'])('is off it when one run follows the other: %s', async (order) => {
    await using engine = await startEngine();
    const ids = [await exportNamed(engine, 'A', range(1, 10)), await exportNamed(engine, 'B', range(1, 10))];
    await runAll(engine);
    await removeProfiles(engine, [1, 2]);
    const inOrder = order === 'A first' ? ids : ids.toReversed();

    const runs: FinishedRun[] = [];
    for (const id of inOrder) runs.push(await runFully(engine.sluice, id));

    expect(runs.map(({ progress }) => progress.leavers)).toEqual([0, 2]);
    expect(standings(engine.sandbox, 1, 2, 3)).toEqual([OFF, OFF, ON]);
  });

  it('is off it when the last one to let go never delivered the person, whatever becomes of its own leavers', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const first = await exportNamed(engine, 'A', range(1, 10));
    await runFully(sluice, first);
    sandbox.refuseAddresses({ emails: [emailOf(1), emailOf(2)], how: 'later' });
    const second = await exportNamed(engine, 'B', range(1, 10));
    const keeping = await exportNamed(engine, 'C', [2, ...range(11, 20)], { leavers: 'KEEP' });
    await runFully(sluice, second);
    expect((await runFully(sluice, keeping)).progress).toMatchObject({ rejected: 1, confirmed: 10 });
    sandbox.clearFaults();
    expect(standings(sandbox, 1, 2)).toEqual([ON, ON]);
    await setMembers(engine, 'A', range(3, 10));
    expect((await runFully(sluice, first)).progress.leavers).toBe(0);

    await setMembers(engine, 'B', range(3, 10));
    expect((await runFully(sluice, second)).progress.leavers).toBe(1);
    expect(standings(sandbox, 1, 2)).toEqual([OFF, ON]);
    await setMembers(engine, 'C', range(11, 20));
    expect((await runFully(sluice, keeping)).progress.leavers).toBe(1);
    expect(standings(sandbox, 1, 2, 11)).toEqual([OFF, OFF, ON]);
    expect(leaversOf(await runAll(engine))).toBe(0);
  });

  it('is taken off once when both had let go, and the run that was to do it was cancelled', async () => {
    await using engine = await startEngine();
    const { sandbox } = engine;
    const { removing } = await removalThatWaits(engine);
    expect((await cancel(engine, removing)).progress).toMatchObject({ leavers: 2, notSent: 2 });
    sandbox.clearFaults();
    expect(standings(sandbox, 1, 2)).toEqual([ON, ON]);
    const before = sandbox.log.length;

    const runs = await runAll(engine);

    expect(standings(sandbox, 1, 2)).toEqual([OFF, OFF]);
    expect(leaversOf(runs)).toBe(2);
    expect(sentSince(sandbox, before)).toBe(2);
  });

  it('is taken off by the other run when the one that was to do it is cancelled', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const { first, removing } = await removalThatWaits(engine);
    const other = await startRun(sluice, first);
    await until(engine, other, 'SENDING');
    await cancel(engine, removing);
    sandbox.clearFaults();

    expect((await finish(sluice, other)).progress).toMatchObject({ leavers: 2, confirmed: 2 });
    expect(standings(sandbox, 1, 2)).toEqual([OFF, OFF]);
  });

  it('does not stay when one run sets the person free just before the other export lets go', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const first = await exportNamed(engine, 'A', range(1, 10));
    const second = await exportNamed(engine, 'B', range(1, 10));
    await runAll(engine);
    await setMembers(engine, 'B', range(2, 10));
    await runFully(sluice, second);
    await setMembers(engine, 'A', range(2, 10));
    // The batch with the removal is refused until the other export wants the person again.
    sandbox.addFault({ on: 'importer', times: null, action: { type: 'rate-limit' } });
    const refused = sandbox.nextCall(({ kind }) => kind === 'importer');
    const removing = await startRun(sluice, first);
    await refused;
    await setMembers(engine, 'B', range(1, 10));
    const wanting = await startRun(sluice, second);
    await until(engine, wanting, 'SENDING');
    sandbox.clearFaults();
    expect((await finish(sluice, removing)).progress).toMatchObject({ leavers: 0, toSend: 0 });
    await finish(sluice, wanting);
    expect(standing(sandbox, 1)).toBe(ON);

    await setMembers(engine, 'B', range(2, 10));
    const runs = await runAll(engine);

    expect(leaversOf(runs)).toBe(1);
    expect(standing(sandbox, 1)).toBe(OFF);
  });

  it('stays while an export whose run was skipped, or failed before it had looked, still wants the person', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice, connectionId } = engine;
    const first = await exportNamed(engine, 'A', range(1, 5));
    const second = await exportNamed(engine, 'B', range(1, 20));
    await runAll(engine);
    await removeProfiles(engine, [1]);
    const limit = (profileLimit: number) =>
      sluice.query(
        'mutation ($id: ID!, $input: UpdateConnectionInput!) { updateConnection(id: $id, input: $input) { id } }',
        {
          id: connectionId,
          input: { profileLimit },
        },
      );
    await limit(10);

    expect(await runFully(sluice, second)).toMatchObject({ state: 'SKIPPED' });
    expect((await runFully(sluice, first)).progress.leavers).toBe(0);
    expect(standing(sandbox, 1)).toBe(ON);
    await limit(1_000);
    expect((await runFully(sluice, second)).progress.leavers).toBe(1);
    expect(standing(sandbox, 1)).toBe(OFF);
  });
});

describe('a run that is held', () => {
  /** A and B share 20 people, A has 20 of its own, B one, and A's segment is emptied by mistake. */
  const ALL_OF_A = [...range(2, 21), ...range(101, 120)];

  async function heldByMistake(engine: Engine) {
    const ids = {
      first: await exportNamed(engine, 'A', ALL_OF_A, { leaverHoldPercent: 20 }),
      second: await exportNamed(engine, 'B', range(2, 22)),
    };
    await runAll(engine);
    await setMembers(engine, 'A', []);
    return { ...ids, heldRun: await startHeld(engine, ids.first) };
  }

  it('keeps its people on the list, whatever another export loses, also when it was cancelled', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const { second, heldRun, first } = await heldByMistake(engine);

    await setMembers(engine, 'B', range(4, 22));
    expect((await runFully(sluice, second)).progress.leavers).toBe(0);
    await cancel(engine, heldRun);
    await setMembers(engine, 'B', range(6, 21));
    expect((await runFully(sluice, second)).progress.leavers).toBe(1);

    expect(standings(sandbox, 101, 2, 3, 4, 5, 22)).toEqual([ON, ON, ON, ON, ON, OFF]);
    await setMembers(engine, 'A', ALL_OF_A);
    expect((await runFully(sluice, first)).progress).toMatchObject({ unchanged: 40, toSend: 0 });
    expect([...sandbox.members(1)]).toHaveLength(40);
  });

  it('lets go of them once it was approved and has prepared again, and each is a leaver of one run', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const { second, heldRun } = await heldByMistake(engine);
    expect(standing(sandbox, 101)).toBe(ON);
    // One comes back before the approval.
    await setMembers(engine, 'A', [3]);
    await approve(engine, heldRun);
    expect((await finish(sluice, heldRun)).progress).toMatchObject({ leavers: 20, confirmed: 20 });
    await setMembers(engine, 'B', range(4, 22));

    expect((await runFully(sluice, second)).progress.leavers).toBe(1);
    expect(standings(sandbox, 101, 2, 3, 4)).toEqual([OFF, OFF, ON, ON]);
  });

  it('does not let go of them when a segment is inactive by the time it goes on', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const { first, second, heldRun } = await heldByMistake(engine);
    await setMembers(engine, 'Other', range(2, 3));
    await update(engine, first, {
      segmentIds: [await segmentNamed(sluice, 'A'), await segmentNamed(sluice, 'Other')],
    });
    await setState(engine, 'A', 'INACTIVE');
    await approve(engine, heldRun);
    expect((await finish(sluice, heldRun)).progress).toMatchObject({ members: 2, leavers: 0 });

    await setMembers(engine, 'B', range(10, 22));
    expect((await runFully(sluice, second)).progress.leavers).toBe(0);
    expect(standings(sandbox, 5, 101)).toEqual([ON, ON]);
  });

  it('says nothing when the next run finds that they came back, and what that one finds counts', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const { first, second, heldRun } = await heldByMistake(engine);
    await cancel(engine, heldRun);
    await update(engine, first, { leaverHoldPercent: 100 });
    await setMembers(engine, 'A', [...range(5, 21), ...range(101, 119)]);
    // It finds 2 to 4 gone as the cancelled one did, and passes.
    expect((await runFully(sluice, first)).progress.leavers).toBe(1);
    await setMembers(engine, 'B', range(6, 22));

    expect((await runFully(sluice, second)).progress.leavers).toBe(3);
    expect(standings(sandbox, 120, 2, 3, 4, 5)).toEqual([OFF, OFF, OFF, OFF, ON]);
  });

  it('that was cancelled after its hold has let go of them all the same', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const first = await exportNamed(engine, 'A', range(1, 10));
    const second = await exportNamed(engine, 'B', range(2, 10));
    await runAll(engine);
    await setMembers(engine, 'A', range(3, 10));
    sandbox.addFault({ on: 'importer', times: null, action: { type: 'rate-limit' } });
    const refused = sandbox.nextCall(({ kind }) => kind === 'importer');
    const removing = await startRun(sluice, first);
    await refused;
    expect((await cancel(engine, removing)).progress).toMatchObject({ leavers: 1, notSent: 1 });
    sandbox.clearFaults();
    await setMembers(engine, 'B', range(3, 10));

    expect((await runFully(sluice, second)).progress.leavers).toBe(1);
    expect(standings(sandbox, 1, 2)).toEqual([ON, OFF]);
  });
});

describe('an inactive segment', () => {
  it('keeps its members on the list, whatever another export loses', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice, connectionId } = engine;
    await setMembers(engine, 'All', range(1, 10));
    await setMembers(engine, 'Other', range(11, 15));
    const segmentIds = [await segmentNamed(sluice, 'All'), await segmentNamed(sluice, 'Other')];
    const both = { connectionId, segmentIds, leaverHoldPercent: 100 };
    const removing = await createExportOf(sluice, { ...both, name: 'A', leavers: 'UNSUBSCRIBE' });
    const keeping = await createExportOf(sluice, { ...both, name: 'C', leavers: 'KEEP' });
    const second = await exportNamed(engine, 'B', range(1, 15));
    await runAll(engine);
    await setState(engine, 'All', 'INACTIVE');
    for (const id of [removing, keeping]) expect((await runFully(sluice, id)).progress.leavers).toBe(0);
    // The other one does not keep them, when it comes to that.
    await sluice.query('mutation ($ids: [ID!]!) { detachExports(ids: $ids) { id } }', { ids: [keeping] });
    await setMembers(engine, 'B', range(4, 15));

    expect((await runFully(sluice, second)).progress.leavers).toBe(0);
    expect(standings(sandbox, 1, 2, 3)).toEqual([ON, ON, ON]);
    await setState(engine, 'All', 'ACTIVE');
    expect((await runFully(sluice, removing)).progress).toMatchObject({ unchanged: 15, toSend: 0 });
  });

  it('protects somebody whom its export never delivered, too', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const second = await exportNamed(engine, 'B', range(1, 10));
    await runFully(sluice, second);
    await setMembers(engine, 'Other', range(11, 15));
    sandbox.refuseAddresses({ emails: [emailOf(1)], how: 'later' });
    const first = await exportNamed(engine, 'A', range(1, 5));
    await update(engine, first, {
      segmentIds: [await segmentNamed(sluice, 'A'), await segmentNamed(sluice, 'Other')],
    });
    expect((await runFully(sluice, first)).progress.rejected).toBe(1);
    sandbox.clearFaults();
    await setState(engine, 'A', 'INACTIVE');
    await runFully(sluice, first);
    await setMembers(engine, 'B', range(2, 10));

    expect((await runFully(sluice, second)).progress.leavers).toBe(0);
    expect(standing(sandbox, 1)).toBe(ON);
  });

  it('does not let somebody in by a new address who opted out by the old one', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice, connectionId } = engine;
    await setMembers(engine, 'All', range(1, 5));
    await setMembers(engine, 'Other', range(11, 15));
    const segmentIds = [await segmentNamed(sluice, 'All'), await segmentNamed(sluice, 'Other')];
    const exportId = await createExportOf(sluice, {
      connectionId,
      segmentIds,
      leavers: 'UNSUBSCRIBE',
      leaverHoldPercent: 100,
    });
    await runFully(sluice, exportId);
    sandbox.unsubscribe(emailOf(1), 1, { reason: 'too many' });
    await setState(engine, 'All', 'INACTIVE');
    await runFully(sluice, exportId);
    await sluice.importCsv('id\n1\n11\n', { segment: 'Other' });
    await sluice.importCsv('id,email\n1,new@example.com\n');

    const run = await runFully(sluice, exportId);

    expect(await rejectionsOf(sluice, run.id)).toMatchObject([
      { email: 'new@example.com', reason: 'OPTED_OUT' },
    ]);
    expect(sandbox.contact('new@example.com')).toBeUndefined();
  });
});

describe('an export that kept its leavers and is to take them off from now on', () => {
  it('protects them until its own run has passed its hold', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const keeping = await exportNamed(engine, 'A', [...range(1, 10), 30], {
      leavers: 'KEEP',
      leaverHoldPercent: 20,
    });
    const second = await exportNamed(engine, 'B', range(1, 20));
    await runAll(engine);
    await setMembers(engine, 'A', []);
    await runFully(sluice, keeping);
    await setMembers(engine, 'B', range(4, 20));
    await update(engine, keeping, { leavers: 'UNSUBSCRIBE' });

    expect((await runFully(sluice, second)).progress.leavers).toBe(0);
    const heldRun = await startHeld(engine, keeping);
    expect(standings(sandbox, 1, 2, 3)).toEqual([ON, ON, ON]);
    await approve(engine, heldRun);
    expect((await finish(sluice, heldRun)).progress.leavers).toBe(4);
    expect(standings(sandbox, 1, 2, 3, 4, 30)).toEqual([OFF, OFF, OFF, ON, OFF]);
  });
});
