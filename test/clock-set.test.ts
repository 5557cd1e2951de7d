import type { Call } from '../sandbox/journal.js';
import type { Sandbox } from '../sandbox/sandbox.js';
import { exportOf, finish, imports, people, runFully, startEngine, stoppedTime } from './helpers/engine.js';
import { connectedConnection, startRun } from './helpers/flows.js';
import { movableClock } from './helpers/movable-clock.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { startSluice, temporaryFolder } from './helpers/sluice.js';

const TEN_MINUTES = 10 * 60_000;

/** A batch every 30 ms, and a minute of the destination's time lasts three seconds. */
const TIME_SCALE = 20;
const env = { SLUICE_SANDBOX_TIME_SCALE: String(TIME_SCALE) };

const isImport = ({ kind }: Call) => kind === 'importer';

async function nextImports(sandbox: Sandbox, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await sandbox.nextCall(isImport);
}

describe.each([
  ['put back', -TEN_MINUTES],
  ['put forward', TEN_MINUTES],
])('a wall clock that is %s by ten minutes', (_, byMs) => {
  it('changes nothing about a run that is under way', async () => {
    const clock = movableClock();
    await using engine = await startEngine({
      sandbox: { timeScale: TIME_SCALE },
      sluice: { env, clock },
    });
    const { sandbox, sluice } = engine;
    const batches = 30;
    const exportId = await exportOf(engine, people(250 * batches));
    const runId = await startRun(sluice, exportId);
    await nextImports(sandbox, 5);
    clock.set(byMs);
    const run = await finish(sluice, runId);
    expect(run).toMatchObject({ state: 'SUCCEEDED', problem: null, progress: { confirmed: 250 * batches } });
    expect(imports(sandbox)).toHaveLength(batches);
    const { quotaRefusals, overlaps } = sandbox.summary().invariants;
    expect({ quotaRefusals, overlaps }).toEqual({
      quotaRefusals: { second: 0, minute: 0, 'minute-single': 0 },
      overlaps: 0,
    });
  });

  it('makes no batch count as lost while the destination takes its time', async () => {
    const clock = movableClock();
    const time = stoppedTime();
    // A batch is lost after 30 s, and asked about every 400 ms.
    const slow = { SLUICE_SANDBOX_TIME_SCALE: '10' };
    await using engine = await startEngine({ sandbox: time.sandbox, sluice: { env: slow, clock } });
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(500));
    const runId = await startRun(sluice, exportId);
    await nextImports(sandbox, 2);
    clock.set(byMs);
    // Each of the two is asked about more often than it takes to give one up.
    for (let n = 0; n < 14; n += 1) await sandbox.nextCall(({ kind }) => kind === 'info');
    time.letGo();
    expect(await finish(sluice, runId)).toMatchObject({ state: 'SUCCEEDED', progress: { confirmed: 500 } });
    expect(imports(sandbox)).toHaveLength(2);
  });

  it('between two starts does not stop what the later one sends', async () => {
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox({ timeScale: TIME_SCALE });
    const options = { sandbox, folder: folder.path, env };
    const first = await startSluice({ ...options, clock: movableClock() });
    const connectionId = await connectedConnection(first, sandbox);
    const exportId = await exportOf({ sluice: first, connectionId }, people(2_500));
    expect(await runFully(first, exportId)).toMatchObject({ state: 'SUCCEEDED' });
    await first.stop();
    const clock = movableClock();
    clock.set(byMs);
    await using second = await startSluice({ ...options, clock });
    await second.importCsv(people(500, 2_501), { segment: 'All', mode: 'merge' });
    expect(await runFully(second, exportId)).toMatchObject({
      state: 'SUCCEEDED',
      progress: { confirmed: 500 },
    });
    expect(sandbox.summary().invariants.quotaRefusals).toEqual({ second: 0, minute: 0, 'minute-single': 0 });
  });
});
