import { systemClock, type Clock } from '../src/clock.js';
import { leaverHold, type LeaverFacts } from '../src/exports/hold.js';
import { connectionCalls, refusalOf } from './helpers/connection-calls.js';
import { exportOf, imports, people, runFully, startEngine, type Engine } from './helpers/engine.js';
import { connectedConnection, startRun, type FinishedRun } from './helpers/flows.js';
import { createManualClock } from './helpers/manual-clock.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { startSluice, temporaryFolder, type Sluice, type Variables } from './helpers/sluice.js';

const HOUR_MS = 60 * 60_000;
const DAY_MS = 24 * HOUR_MS;
const RUN = `id state phase attempt cancelRequestedAt problem { code message remedy }
  progress { members skipped unchanged leavers toSend accepted confirmed rejected unconfirmed notSent percent etaSeconds }`;

interface Run extends Omit<FinishedRun, 'state'> {
  readonly state: string;
  readonly phase: string | null;
  readonly cancelRequestedAt: string | null;
}

async function runOf(sluice: Sluice, id: string): Promise<Run> {
  const { exportRun } = await sluice.query<{ exportRun: Run }>(
    `query ($id: ID!) { exportRun(id: $id) { ${RUN} } }`,
    { id },
  );
  return exportRun;
}

/** Watches the run until it fits. */
async function until(sluice: Sluice, id: string, fits: (run: Run) => boolean): Promise<Run> {
  const events = sluice.subscribe<{ exportRunChanged: Run }>(
    `subscription ($id: ID!) { exportRunChanged(runId: $id) { ${RUN} } }`,
    { id },
  );
  let last: Run | undefined;
  for await (const { exportRunChanged } of events) {
    last = exportRunChanged;
    if (fits(last)) return last;
  }
  throw new Error(`The run ended before: ${JSON.stringify(last)}`);
}

const untilState = (sluice: Sluice, id: string, state: string) =>
  until(sluice, id, (run) => run.state === state);

async function decide(sluice: Sluice, operation: 'approveExportRun' | 'cancelExportRun', id: string) {
  const { run } = await sluice.query<{ run: Run }>(
    `mutation ($id: ID!) { run: ${operation}(id: $id) { ${RUN} } }`,
    { id },
  );
  return run;
}

const approve = (sluice: Sluice, id: string) => decide(sluice, 'approveExportRun', id);
const cancel = (sluice: Sluice, id: string) => decide(sluice, 'cancelExportRun', id);

/** Makes the first so many people the members of the segment: the others have left it. */
const keepMembers = (sluice: Sluice, count: number) => sluice.importCsv(people(count), { segment: 'All' });

/** An export under UNSUBSCRIBE that has delivered so many people. */
async function delivered(
  engine: Pick<Engine, 'sluice' | 'connectionId'>,
  count: number,
  wishes: Variables = {},
): Promise<string> {
  const exportId = await exportOf(engine, people(count), { leavers: 'UNSUBSCRIBE', ...wishes });
  expect(await runFully(engine.sluice, exportId)).toMatchObject({ progress: { confirmed: count } });
  return exportId;
}

/** Starts a run after all but so many people have left, and waits until it is held. */
async function heldRun({ sluice }: Pick<Engine, 'sluice'>, exportId: string, left: number): Promise<Run> {
  await keepMembers(sluice, left);
  return untilState(sluice, await startRun(sluice, exportId), 'HELD');
}

const errorsOf = ({ log }: Sluice) => log.filter(({ level }) => Number(level) >= 50);

/** The machine's time, so much later. */
const later = (ms: number): Clock => ({ ...systemClock, now: () => systemClock.now() + ms });

describe('a run that would take people off the list', () => {
  it('is not held at 20 of 100 and 20 %, and takes them off', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await delivered(engine, 100);
    await keepMembers(sluice, 80);
    const run = await untilState(sluice, await startRun(sluice, exportId), 'SUCCEEDED');
    expect(run.progress).toMatchObject({
      members: 80,
      unchanged: 80,
      leavers: 20,
      toSend: 20,
      confirmed: 20,
    });
    expect([...sandbox.members(1)]).toHaveLength(80);
  });

  it('is held at 21 of 100, with the figures, and sends nothing', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await delivered(engine, 100);
    const sent = imports(sandbox).length;
    const run = await heldRun(engine, exportId, 79);
    expect(run).toMatchObject({
      state: 'HELD',
      phase: null,
      problem: {
        code: 'TOO_MANY_LEAVERS',
        message:
          'The run would take 21 of the 100 contacts that this export has delivered off the list (21 %); the export holds runs above 20 %.',
        remedy: expect.stringContaining('approveExportRun') as string,
      },
      progress: {
        members: 79,
        unchanged: 79,
        leavers: 21,
        toSend: 21,
        confirmed: 0,
        percent: 0,
        etaSeconds: null,
      },
    });
    const { exportRuns } = await sluice.query<{ exportRuns: { nodes: { id: string }[] } }>(
      '{ exportRuns(state: HELD) { nodes { id } } }',
    );
    expect(exportRuns.nodes).toEqual([{ id: run.id }]);
    // Other runs of the account go on.
    const other = await exportOf(engine, people(79), { name: 'Other' });
    expect(await runFully(sluice, other)).toMatchObject({ state: 'SUCCEEDED' });
    expect(imports(sandbox)).toHaveLength(sent + 1);
    expect([...sandbox.members(1)]).toHaveLength(100);
    expect(await runOf(sluice, run.id)).toMatchObject({ state: 'HELD', attempt: 1 });
    expect(errorsOf(sluice)).toEqual([]);
  });

  it('is held at 100 % only if it takes everybody, and at 0 % whoever it takes', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await delivered(engine, 10, { leaverHoldPercent: 100 });
    await keepMembers(sluice, 1);
    await untilState(sluice, await startRun(sluice, exportId), 'SUCCEEDED');
    expect([...sandbox.members(1)]).toHaveLength(1);
    const all = await heldRun(engine, exportId, 0);
    expect(all.problem?.message).toContain('1 of the 1 contacts');
    await cancel(sluice, all.id);
    await untilState(sluice, all.id, 'CANCELED');

    const strict = await delivered(engine, 10, { name: 'Strict', leaverHoldPercent: 0 });
    const one = await heldRun(engine, strict, 9);
    expect(one.problem?.message).toContain('1 of the 10 contacts');
    expect(one.progress.leavers).toBe(1);
  });

  it('is never held under KEEP', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await delivered(engine, 10, { leavers: 'KEEP', leaverHoldPercent: 0 });
    await keepMembers(sluice, 1);
    const run = await untilState(sluice, await startRun(sluice, exportId), 'SUCCEEDED');
    expect(run.progress).toMatchObject({ leavers: 0, toSend: 0, unchanged: 1 });
    expect([...sandbox.members(1)]).toHaveLength(10);
  });

  it('is held although it is forced', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await delivered(engine, 10);
    await keepMembers(sluice, 5);
    const sent = imports(sandbox).length;
    const { runExport } = await sluice.query<{ runExport: { id: string } }>(
      'mutation ($id: ID!) { runExport(exportId: $id, force: true) { id } }',
      { id: exportId },
    );
    expect(await untilState(sluice, runExport.id, 'HELD')).toMatchObject({ progress: { leavers: 5 } });
    expect(imports(sandbox)).toHaveLength(sent);
  });
});

describe('what holds a run', () => {
  const facts = (given: Partial<LeaverFacts>): LeaverFacts => ({
    leavers: 0,
    delivered: 10_000,
    holdPercent: 20,
    approvedLeavers: null,
    ...given,
  });

  it.each([
    ['nobody leaves', { leavers: 0, holdPercent: 0 }, false],
    ['nobody was ever delivered', { leavers: 0, delivered: 0 }, false],
    ['just as many leave as may', { leavers: 2_000 }, false],
    ['one more leaves', { leavers: 2_001 }, true],
    ['all leave', { leavers: 10_000, holdPercent: 100 }, true],
    ['all but one leave', { leavers: 9_999, holdPercent: 100 }, false],
    ['as many were approved', { leavers: 4_000, approvedLeavers: 4_000 }, false],
    ['all leave, and all were approved', { leavers: 10_000, approvedLeavers: 10_000 }, false],
    ['fewer were approved', { leavers: 4_001, approvedLeavers: 4_000 }, true],
  ] satisfies [string, Partial<LeaverFacts>, boolean][])('%s', (_when, given, isHeld) => {
    expect(leaverHold(facts(given)) !== null).toBe(isHeld);
  });

  it('is told with a share that never reads as if it were within the limit', () => {
    expect(leaverHold(facts({ leavers: 2_001 }))?.message).toContain('2,001 of the 10,000');
    expect(leaverHold(facts({ leavers: 2_001 }))?.message).toContain('(20.1 %)');
    expect(leaverHold(facts({ leavers: 4_000 }))?.message).toContain('(40 %)');
  });
});

describe('a held run that is approved', () => {
  it('prepares again, and takes them off', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await delivered(engine, 100);
    const { id } = await heldRun(engine, exportId, 50);
    // Two of them came back meanwhile.
    await keepMembers(sluice, 52);
    expect(await approve(sluice, id)).toMatchObject({ state: 'RUNNING', problem: null });
    expect(await untilState(sluice, id, 'SUCCEEDED')).toMatchObject({
      attempt: 2,
      problem: null,
      progress: { members: 52, unchanged: 52, leavers: 48, toSend: 48, confirmed: 48 },
    });
    expect([...sandbox.members(1)]).toHaveLength(52);
    expect([...sandbox.members(1, 2)]).toHaveLength(48);
  });

  it('is held again if more have left by then', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await delivered(engine, 100);
    const sent = imports(sandbox).length;
    const { id } = await heldRun(engine, exportId, 50);
    await keepMembers(sluice, 49);
    await approve(sluice, id);
    const again = await until(sluice, id, ({ state, attempt }) => state === 'HELD' && attempt === 2);
    expect(again.problem?.message).toContain('51 of the 100 contacts');
    expect(again.problem?.message).toContain('50 were approved');
    expect(imports(sandbox)).toHaveLength(sent);

    await approve(sluice, id);
    expect(await untilState(sluice, id, 'SUCCEEDED')).toMatchObject({
      attempt: 3,
      progress: { leavers: 51 },
    });
    expect([...sandbox.members(1)]).toHaveLength(49);
  });

  it('ends FAILED, and sends nothing, if it may not send any more', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice, connectionId } = engine;
    const exportId = await delivered(engine, 10);
    const { id } = await heldRun(engine, exportId, 5);
    const calls = sandbox.log.length;
    await connectionCalls(sluice).withdrawConsent(connectionId);
    expect(await runOf(sluice, id)).toMatchObject({ state: 'HELD' });
    await approve(sluice, id);
    expect(await untilState(sluice, id, 'FAILED')).toMatchObject({ problem: { code: 'CONSENT_REQUIRED' } });
    expect(sandbox.log).toHaveLength(calls);
  });

  it('must be held: CONFLICT; and there: NOT_FOUND', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    const exportId = await delivered(engine, 10);
    const { id } = await heldRun(engine, exportId, 5);
    await approve(sluice, id);
    expect(await refusalOf(approve(sluice, id))).toMatchObject({
      code: 'CONFLICT',
      remedy: expect.stringContaining('exportRun') as string,
    });
    await untilState(sluice, id, 'SUCCEEDED');
    expect(await refusalOf(approve(sluice, id))).toMatchObject({ code: 'CONFLICT' });
    expect(await refusalOf(approve(sluice, 'nothing'))).toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('a held run', () => {
  it('is CANCELED when somebody cancels it, without a request', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await delivered(engine, 10);
    const { id } = await heldRun(engine, exportId, 5);
    const calls = sandbox.log.length;
    await cancel(sluice, id);
    expect(await untilState(sluice, id, 'CANCELED')).toMatchObject({
      phase: null,
      cancelRequestedAt: expect.any(String) as string,
      problem: { code: 'TOO_MANY_LEAVERS' },
    });
    expect(sandbox.log).toHaveLength(calls);
    expect([...sandbox.members(1)]).toHaveLength(10);
  });

  it('keeps its export from being removed', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    const exportId = await delivered(engine, 10);
    await heldRun(engine, exportId, 5);
    const removing = sluice.query('mutation ($id: ID!) { removeExport(id: $id) }', { id: exportId });
    expect(await refusalOf(removing)).toMatchObject({ code: 'CONFLICT' });
  });

  it('lets one run queue behind it, which begins when it has ended', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    const exportId = await delivered(engine, 10);
    const first = await heldRun(engine, exportId, 5);
    const next = await startRun(sluice, exportId);
    expect(await startRun(sluice, exportId)).toBe(next);
    expect(next).not.toBe(first.id);
    expect(await runOf(sluice, next)).toMatchObject({ state: 'QUEUED' });

    await keepMembers(sluice, 10);
    await cancel(sluice, first.id);
    expect(await untilState(sluice, next, 'SUCCEEDED')).toMatchObject({
      attempt: 1,
      progress: { unchanged: 10, leavers: 0 },
    });
    expect(await runOf(sluice, first.id)).toMatchObject({ state: 'CANCELED' });
    expect(errorsOf(sluice)).toEqual([]);
  });

  it('lets it wait also when the export has moved to another account meanwhile', async () => {
    await using other = await startTestSandbox({ account: 'other' });
    await using sandbox = await startTestSandbox();
    await using sluice = await startSluice({ sandbox: { host: `${sandbox.host},${other.host}` } });
    const connectionId = await connectedConnection(sluice, sandbox);
    const otherId = await connectedConnection(sluice, other);
    const exportId = await delivered({ sluice, connectionId }, 10);
    const first = await heldRun({ sluice }, exportId, 5);
    await sluice.query(
      'mutation ($id: ID!, $to: ID!) { attachExport(id: $id, connectionId: $to, listId: "1") { id } }',
      { id: exportId, to: otherId },
    );
    const next = await startRun(sluice, exportId);
    expect(await runOf(sluice, next)).toMatchObject({ state: 'QUEUED' });
    await cancel(sluice, first.id);
    expect(await untilState(sluice, next, 'SUCCEEDED')).toMatchObject({ progress: { confirmed: 5 } });
    expect([...other.members(1)]).toHaveLength(5);
    expect([...sandbox.members(1)]).toHaveLength(10);
    expect(errorsOf(sluice)).toEqual([]);
  });

  it('is HELD after a restart, and goes on when it is approved then', async () => {
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox();
    const { id, sent } = await holdIn(folder.path, sandbox);
    await using sluice = await startSluice({ folder: folder.path, sandbox });
    expect(await runOf(sluice, id)).toMatchObject({
      state: 'HELD',
      attempt: 1,
      problem: { code: 'TOO_MANY_LEAVERS' },
      progress: { leavers: 5 },
    });
    expect(imports(sandbox)).toHaveLength(sent);
    await approve(sluice, id);
    expect(await untilState(sluice, id, 'SUCCEEDED')).toMatchObject({ attempt: 2 });
    expect([...sandbox.members(1)]).toHaveLength(5);
  });
});

/** Lets a server of its own hold a run, and stops it. */
async function holdIn(folder: string, sandbox: Engine['sandbox']) {
  await using sluice = await startSluice({ folder, sandbox });
  const connectionId = await connectedConnection(sluice, sandbox);
  const exportId = await delivered({ sluice, connectionId }, 10);
  const heldFrom = Date.now();
  const { id } = await heldRun({ sluice }, exportId, 5);
  return { id, exportId, heldFrom, sent: imports(sandbox).length };
}

describe('a held run that nobody decides about', () => {
  it('is still HELD after six days, and CANCELED by a start after seven', async () => {
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox();
    const { id, exportId, sent } = await holdIn(folder.path, sandbox);
    {
      await using early = await startSluice({ folder: folder.path, sandbox, clock: later(6 * DAY_MS) });
      expect(await runOf(early, id)).toMatchObject({ state: 'HELD' });
    }
    await using sluice = await startSluice({ folder: folder.path, sandbox, clock: later(7 * DAY_MS) });
    expect(await untilState(sluice, id, 'CANCELED')).toMatchObject({
      problem: {
        code: 'HELD_TOO_LONG',
        message: expect.stringMatching(/within 7 days.*5 of the 10 contacts/) as string,
      },
    });
    expect(imports(sandbox)).toHaveLength(sent);
    expect([...sandbox.members(1)]).toHaveLength(10);
    // The export is free again, and asks again.
    expect(await untilState(sluice, await startRun(sluice, exportId), 'HELD')).toMatchObject({
      problem: { code: 'TOO_MANY_LEAVERS' },
    });
  });

  it('is CANCELED by a server that is up, soon after seven days and not before', async () => {
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox();
    const { id, heldFrom } = await holdIn(folder.path, sandbox);
    const clock = createManualClock(heldFrom + 7 * DAY_MS - 3 * HOUR_MS);
    await using sluice = await startSluice({ folder: folder.path, sandbox, clock });
    expect(await runOf(sluice, id)).toMatchObject({ state: 'HELD' });
    let run = await runOf(sluice, id);
    while (run.state !== 'CANCELED') {
      await clock.pass(HOUR_MS / 6);
      run = await runOf(sluice, id);
    }
    const waited = Date.parse(run.cancelRequestedAt ?? '') - heldFrom;
    expect(waited).toBeGreaterThanOrEqual(7 * DAY_MS);
    expect(waited).toBeLessThan(8 * DAY_MS);
  });
});
