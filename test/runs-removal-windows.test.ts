import type { Sandbox } from '../sandbox/sandbox.js';
import { onPostgres } from './helpers/databases.js';
import { emailOf, exportOf, finish, people, rejectionsOf, runFully } from './helpers/engine.js';
import { connectedConnection, startRun } from './helpers/flows.js';
import { startProgram, type Program } from './helpers/program.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { temporaryFolder, type Sluice } from './helpers/sluice.js';

const LEAVERS = { leavers: 'UNSUBSCRIBE', leaverHoldPercent: 100 } as const;
const ON = 1;

/** A destination that decides at once and whose clock moves only when the test moves it. */
function clockOfTheTest() {
  const zero = Date.now();
  let passedMs = 0;
  return {
    sandbox: { now: () => zero + passedMs, quotas: false, processingMs: 0 },
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
