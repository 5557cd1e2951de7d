import type { Call } from '../sandbox/journal.js';
import type { Sandbox } from '../sandbox/sandbox.js';
import { connectionCalls } from './helpers/connection-calls.js';
import { onPostgres } from './helpers/databases.js';
import { emailOf, exportOf, finish, people, rejectionsOf, runFully } from './helpers/engine.js';
import { connectedConnection, createExportOf, segmentNamed, startRun } from './helpers/flows.js';
import { startProgram, type Program } from './helpers/program.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { startSluice, temporaryFolder, type Sluice } from './helpers/sluice.js';

const LEAVERS = { leavers: 'UNSUBSCRIBE', leaverHoldPercent: 100 } as const;
const ON = 1;

/** A destination that decides at once and whose clock moves only when the test moves it. */
function clockOfTheTest() {
  const zero = Date.now();
  let passedMs = 0;
  return {
    sandbox: { now: () => zero + passedMs, timeScale: 1, quotas: false, processingMs: 0 },
    pass: (ms: number) => {
      passedMs += ms;
    },
  };
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

async function setMembers(sluice: Sluice, ns: readonly number[]): Promise<void> {
  const [header = ''] = people(0).split('\n');
  const rows = ns.map((n) => people(1, n).split('\n')[1] ?? '');
  await sluice.importCsv([header, ...rows, ''].join('\n'), { segment: 'All' });
}

const isOn = (sandbox: Sandbox, n: number) => sandbox.contact(emailOf(n))?.lists[0]?.status === ON;

describe('whoever was taken off the list by a run that was interrupted', () => {
  /** Eight batches of leavers; a person who stays, so that nothing is held. */
  const LEAVING = range(1, 2_000);
  const STAYS = 2_001;
  /** Some of each batch. */
  const RETURNING = LEAVING.filter((n) => n % 50 === 1);

  /** A batch every 30 ms: not all of them leave before the process ends. */
  const PACED = { env: { SLUICE_SANDBOX_TIME_SCALE: '20' } };

  /** Starts the removals, and ends the process when the destination has accepted the third batch of them. */
  async function interrupted(
    sandbox: Sandbox,
    program: Program,
    end: (program: Program) => Promise<unknown>,
  ) {
    const { sluice } = program;
    const connectionId = await connectedConnection(sluice, sandbox);
    const exportId = await exportOf({ sluice, connectionId }, people(STAYS), LEAVERS);
    expect(await runFully(sluice, exportId)).toMatchObject({ state: 'SUCCEEDED' });
    await setMembers(sluice, [STAYS]);
    const before = sandbox.batches().length;
    // The account rests behind the third, however long the end of the process takes: the last four have no row yet.
    const restSeconds = 3_600;
    sandbox.addFault({
      on: 'importer',
      nth: 4,
      times: null,
      action: { type: 'rate-limit', retryAfterSeconds: restSeconds },
    });
    const ended = sandbox
      .next('accepted', () => sandbox.batches().length === before + 3)
      .then(() => end(program));
    const runId = await startRun(sluice, exportId);
    await ended;
    sandbox.clearFaults();
    return { exportId, runId };
  }

  async function expectAllToReturn(
    sandbox: Sandbox,
    sluice: Sluice,
    ids: { exportId: string; runId: string },
  ) {
    expect(await finish(sluice, ids.runId)).toMatchObject({
      state: 'SUCCEEDED',
      progress: { leavers: 2_000, confirmed: 2_000 },
    });
    expect([...sandbox.members(1)]).toEqual([emailOf(STAYS)]);
    await setMembers(sluice, [...RETURNING, STAYS]);
    const run = await runFully(sluice, ids.exportId);
    expect(await rejectionsOf(sluice, run.id)).toEqual([]);
    expect(RETURNING.filter((n) => !isOn(sandbox, n))).toEqual([]);
    expect(sandbox.summary().invariants).toMatchObject({ overriddenOptOuts: 0 });
  }

  it.each(['SIGKILL', 'SIGTERM'] as const)('by %s comes back', async (signal) => {
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox(clockOfTheTest().sandbox);
    await using program = await startProgram(folder.path, sandbox, PACED);
    const ids = await interrupted(sandbox, program, () => program.kill(signal));

    await using again = await startProgram(folder.path, sandbox, PACED);
    await expectAllToReturn(sandbox, again.sluice, ids);
  });

  onPostgres('because another process took the account over comes back', async () => {
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox(clockOfTheTest().sandbox);
    await using first = await startProgram(folder.path, sandbox, PACED);
    let second: Program | undefined;
    const ids = await interrupted(sandbox, first, async () => {
      second = await startProgram(folder.path, sandbox, PACED);
      await first.kill('SIGTERM');
    });
    if (second === undefined) throw new Error('The second process was not started.');
    await using other = second;
    await expectAllToReturn(sandbox, other.sluice, ids);
  });
});

describe('whoever is taken off the list', () => {
  const STAYS = 251;
  /** An importer that needs five minutes: a batch waits until 100 s, is claimed until 150 s, and active until 300 s. */
  const FIVE_MINUTES = 300_000;
  const ENV = { SLUICE_SANDBOX_TIME_SCALE: '10' };

  /** A server that has delivered 251 people and begins to take 250 of them off the list. */
  async function removing(processingMs: number) {
    const folder = await temporaryFolder();
    const time = clockOfTheTest();
    const sandbox = await startTestSandbox(time.sandbox);
    let sluice = await startSluice({ sandbox, folder: folder.path, env: ENV });
    const connectionId = await connectedConnection(sluice, sandbox);
    const exportId = await exportOf({ sluice, connectionId }, people(STAYS), LEAVERS);
    expect(await runFully(sluice, exportId)).toMatchObject({ state: 'SUCCEEDED' });
    await setMembers(sluice, [STAYS]);
    sandbox.set({ processingMs });
    return {
      sandbox,
      time,
      exportId,
      connectionId,
      sluice: () => sluice,
      /** Tells of each call of a kind that was answered from now on, by its number. */
      onCall: (kind: Call['kind'], act: (nth: number) => void) => {
        let nth = 0;
        sandbox.on('call', (call) => {
          if (call.kind === kind) act((nth += 1));
        });
      },
      start: () => startRun(sluice, exportId),
      /** Stops the server, lets something happen, and starts it again. */
      restart: async (meanwhile: () => void) => {
        await sluice.stop();
        meanwhile();
        sluice = await startSluice({ sandbox, folder: folder.path, env: ENV });
      },
      /** Lets these come back. @returns who of them is on the list, after the run told the others as opted out. */
      comeBack: async (...ns: number[]) => {
        sandbox.set({ processingMs: 0 });
        await setMembers(sluice, [...ns, STAYS]);
        const run = await runFully(sluice, exportId);
        const on = ns.filter((n) => isOn(sandbox, n));
        const rejections = await rejectionsOf(sluice, run.id);
        expect(rejections.map(({ email, reason }) => `${email} ${reason}`).sort()).toEqual(
          ns.filter((n) => !on.includes(n)).map((n) => `${emailOf(n)} OPTED_OUT`),
        );
        expect(sandbox.summary().invariants).toMatchObject({ overriddenOptOuts: 0 });
        return on;
      },
      [Symbol.asyncDispose]: async () => {
        await sluice.stop();
        await sandbox[Symbol.asyncDispose]();
        await folder[Symbol.asyncDispose]();
      },
    };
  }

  it('by an importer that needs five minutes comes back', async () => {
    await using world = await removing(FIVE_MINUTES);
    world.onCall('info', () => world.time.pass(25_000));
    const run = await finish(world.sluice(), await world.start());
    expect(run.progress).toMatchObject({ leavers: 250, confirmed: 250 });
    expect(await world.comeBack(1, 2, 125, 249, 250)).toEqual([1, 2, 125, 249, 250]);
  });

  it('while the importer answers 500, but left before by choice, stays off', async () => {
    await using world = await removing(0);
    const { sandbox, time } = world;
    // Fifteen seconds, in which the batch uses up the tries that it has beside the last.
    sandbox.addFault({ on: 'importer', times: 2, action: { type: 'answer', status: 500 } });
    world.onCall('importer', (nth) => {
      if (nth > 2) return;
      time.pass(3_750);
      if (nth === 2) sandbox.unsubscribe(emailOf(1), 1);
      time.pass(3_750);
    });
    const run = await finish(world.sluice(), await world.start());
    expect(run.progress).toMatchObject({ confirmed: 250 });
    expect(await world.comeBack(1, 2, 250)).toEqual([2, 250]);
  });

  it('but left by choice while the batch waited in the importer, stays off', async () => {
    await using world = await removing(FIVE_MINUTES);
    const { sandbox, time } = world;
    world.onCall('info', (nth) => {
      time.pass(12_500);
      if (nth === 2) sandbox.unsubscribe(emailOf(1), 1);
      // Claimed, and not begun.
      if (nth === 5) sandbox.unsubscribe(emailOf(2), 1);
      time.pass(12_500);
    });
    await finish(world.sluice(), await world.start());
    expect(await world.comeBack(1, 2, 3, 250)).toEqual([3, 250]);
  });

  it('but left by choice while the server was down and the batch waited, stays off; the others come back', async () => {
    await using world = await removing(4 * FIVE_MINUTES);
    const { sandbox, time } = world;
    let isDown = false;
    const asked = Promise.withResolvers<unknown>();
    world.onCall('info', (nth) => {
      if (nth === 2) asked.resolve(nth);
      if (nth > 2 && isDown) time.pass(100_000);
    });
    const runId = await world.start();
    await asked.promise;
    await world.restart(() => {
      time.pass(60_000);
      sandbox.unsubscribe(emailOf(1), 1);
      time.pass(60_000);
      isDown = true;
    });
    await finish(world.sluice(), runId);
    expect(await world.comeBack(1, 2, 250)).toEqual([2, 250]);
  });

  it('while the server was down for minutes cannot be told from who left by choice then: nobody is put back', async () => {
    await using world = await removing(FIVE_MINUTES);
    const { sandbox, time } = world;
    const asked = Promise.withResolvers<unknown>();
    world.onCall('info', (nth) => {
      if (nth === 2) asked.resolve(nth);
    });
    const runId = await world.start();
    await asked.promise;
    await world.restart(() => {
      time.pass(60_000);
      sandbox.unsubscribe(emailOf(1), 1);
      time.pass(FIVE_MINUTES);
    });
    await finish(world.sluice(), runId);
    expect(await world.comeBack(1, 2)).toEqual([]);
    expect(sandbox.resubscriptions()).toEqual([]);
  });

  it('while the server was down for twenty seconds comes back, however long the importer had taken before', async () => {
    await using world = await removing(100_000);
    const { time } = world;
    const asked = Promise.withResolvers<unknown>();
    world.onCall('info', (nth) => {
      if (nth < 10) time.pass(10_000);
      if (nth === 10) asked.resolve(nth);
    });
    const runId = await world.start();
    await asked.promise;
    await world.restart(() => time.pass(20_000));
    await finish(world.sluice(), runId);
    expect(await world.comeBack(1, 2, 250)).toEqual([1, 2, 250]);
  });

  it('but left by choice while nobody could ask about the batch, stays off; the others come back', async () => {
    await using world = await removing(2 * FIVE_MINUTES);
    const { sandbox, time } = world;
    world.onCall('info', (nth) => {
      time.pass(12_500);
      // Active since the thirteenth question.
      if (nth === 14) {
        sandbox.addFault({ on: 'info', times: 4, action: { type: 'answer', status: 500 } });
      }
      if (nth === 16) sandbox.unsubscribe(emailOf(1), 1);
      time.pass(12_500);
    });
    await finish(world.sluice(), await world.start());
    expect(await world.comeBack(1, 2, 250)).toEqual([2, 250]);
  });

  it('by a batch that tells its outcome in the next run, within the minute, comes back', async () => {
    await using world = await removing(30_000);
    const { sandbox, time } = world;
    const stop = sandbox.on('accepted', () => sandbox.revokeKey());
    const first = await finish(world.sluice(), await world.start());
    stop();
    expect(first.progress).toMatchObject({ unconfirmed: 250 });
    sandbox.restoreKey();
    time.pass(40_000);
    await connectionCalls(world.sluice()).connect(world.connectionId);
    expect(await world.comeBack(1, 2, 250)).toEqual([1, 2, 250]);
  });

  it('by a batch that tells its outcome after minutes cannot be told from who left by choice', async () => {
    await using world = await removing(30_000);
    const { sandbox, time } = world;
    const stop = sandbox.on('accepted', () => sandbox.revokeKey());
    await finish(world.sluice(), await world.start());
    stop();
    sandbox.restoreKey();
    time.pass(20_000);
    sandbox.unsubscribe(emailOf(1), 1);
    time.pass(100_000);
    await connectionCalls(world.sluice()).connect(world.connectionId);
    expect(await world.comeBack(1, 2)).toEqual([]);
  });

  it('by a batch that an earlier run left under way is put back after that removal, not before', async () => {
    await using world = await removing(50_000);
    const { sandbox, time } = world;
    const stop = sandbox.on('accepted', () => sandbox.revokeKey());
    await finish(world.sluice(), await world.start());
    stop();
    sandbox.restoreKey();
    await connectionCalls(world.sluice()).connect(world.connectionId);
    // Every answer of the importer takes eight seconds of the destination's time: the seventh tells the end.
    world.onCall('info', () => {
      time.pass(8_000);
    });

    expect(await world.comeBack(1, 2)).toEqual([1, 2]);

    time.pass(55_000);
    expect([1, 2, 3].map((n) => isOn(sandbox, n))).toEqual([true, true, false]);
  });

  it('after another run had put the person back, by a removal that took effect late, is put back again', async () => {
    await using world = await removing(50_000);
    const { sandbox, time, connectionId } = world;
    const stop = sandbox.on('accepted', () => sandbox.revokeKey());
    await finish(world.sluice(), await world.start());
    stop();
    sandbox.restoreKey();
    await connectionCalls(world.sluice()).connect(connectionId);
    // The importer works it off at once, before the removal that it has had for longer.
    sandbox.set({ processingMs: 0 });
    const sluice = world.sluice();
    await sluice.importCsv(people(1), { segment: 'Other' });
    const segmentIds = [await segmentNamed(sluice, 'Other')];
    const other = await createExportOf(sluice, { connectionId, segmentIds, name: 'Other', ...LEAVERS });
    expect(await runFully(sluice, other)).toMatchObject({ progress: { confirmed: 1 } });
    expect(isOn(sandbox, 1)).toBe(true);
    time.pass(55_000);
    expect(isOn(sandbox, 1)).toBe(false);
    await runFully(sluice, world.exportId);

    expect(await runFully(sluice, other)).toMatchObject({ progress: { unchanged: 0, confirmed: 1 } });
    expect(isOn(sandbox, 1)).toBe(true);
  });
});
