import type { Sandbox } from '../sandbox/sandbox.js';
import { systemClock } from '../src/clock.js';
import { onPostgres } from './helpers/databases.js';
import { held, people, wanted } from './helpers/engine.js';
import { connectedConnection, createExportOf, runEnd, segmentNamed, startRun } from './helpers/flows.js';
import { startProgram, type Death, type Program } from './helpers/program.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { temporaryFolder, type Sluice } from './helpers/sluice.js';
import { call, createTrigger } from './helpers/trigger-calls.js';

/*
 * Three processes on one Postgres: two that work, one that serves callers. The sandbox, which stands for the destination's
 * accounts, is the judge; a batch every 120 ms leaves time to kill somebody in the middle.
 */

const TIME_SCALE = 5;
const PACED = { SLUICE_SANDBOX_TIME_SCALE: String(TIME_SCALE) };
const BATCH = 250;
const CALL_EVERY_MS = 1_000;
/** A dead process is missed after some 15 s, here twice. */
const PATIENCE_MS = 300_000;

/**
 * Receipts of both accounts together: fewer than the batches of each run, the smaller one of an account goes first, so none has ended
 * by then. The worker counts them by itself: what the test learns of them comes later, the slower the machine is.
 */
const IN_THE_MIDDLE: Death = { point: 'after the commit of a receipt', nth: 20 };

interface Change {
  readonly state: string;
  readonly attempt: number;
}

/** Resolves when the run shows what is asked for. */
async function until(sluice: Sluice, runId: string, isSo: (change: Change) => boolean): Promise<void> {
  const events = sluice.subscribe<{ exportRunChanged: Change }>(
    'subscription ($id: ID!) { exportRunChanged(runId: $id) { state attempt } }',
    { id: runId },
  );
  for await (const { exportRunChanged } of events) if (isSo(exportRunChanged)) return;
  throw new Error('The run ended before.');
}

/** An export of these people alone. */
async function exportOfPeople(
  sluice: Sluice,
  connectionId: string,
  name: string,
  csv: string,
): Promise<string> {
  await sluice.importCsv(csv, { segment: name });
  return createExportOf(sluice, { connectionId, name, segmentIds: [await segmentNamed(sluice, name)] });
}

function expectKeptQuotas(sandbox: Sandbox): void {
  const { busiest, quotaRefusals, overlapsNotExcused } = sandbox.summary().invariants;
  expect(quotaRefusals).toEqual({ second: 0, minute: 0, 'minute-single': 0 });
  expect(busiest.importsInOneMinute).toBeLessThanOrEqual(100);
  expect(busiest.requestsInOneSecond).toBeLessThanOrEqual(5);
  expect(overlapsNotExcused).toBe(0);
}

/** Calls a trigger on and on, each time under another id, until it is told to stop. @returns the runs of all 2xx. */
function callOnAndOn(sluice: Sluice, trigger: Awaited<ReturnType<typeof createTrigger>>) {
  const over = new AbortController();
  const runs = new Set<string>();
  const calling = (async () => {
    for (let n = 0; !over.signal.aborted; n += 1) {
      const answer = await call(sluice, trigger, `call-${n}`);
      if (answer.status === 202) runs.add(answer.body.runId ?? '');
      else expect(answer.status).toBe(503);
      // Small runs go first: called without a pause, they would leave the large ones nothing.
      await systemClock.sleep(CALL_EVERY_MS);
    }
  })();
  return async () => {
    over.abort();
    await calling;
    return runs;
  };
}

describe('several processes on one Postgres', () => {
  onPostgres(
    'bring every run to its end when one of them freezes and one is killed, keep all quotas, and tell it elsewhere',
    async () => {
      await using folder = await temporaryFolder();
      await using one = await startTestSandbox({ timeScale: TIME_SCALE });
      await using another = await startTestSandbox({ timeScale: TIME_SCALE, account: 'another' });
      const hosts = { host: `${one.host},${another.host}` };
      const start = (role: string, death?: Death) =>
        startProgram(folder.path, hosts, { env: { ...PACED, SLUICE_PROCESS: role }, death });
      await using api = await start('api');
      await using frozen = await start('worker', { ...IN_THE_MIDDLE, signal: 'SIGSTOP' });
      const { sluice } = api;
      const first = await connectedConnection(sluice, one);
      const second = await connectedConnection(sluice, another);
      const exports = [
        await exportOfPeople(sluice, first, 'a', people(40 * BATCH)),
        await exportOfPeople(sluice, first, 'b', people(30 * BATCH, 1 + 40 * BATCH)),
        await exportOfPeople(sluice, second, 'c', people(40 * BATCH)),
      ];
      const called = await exportOfPeople(sluice, second, 'd', people(1, 1 + 40 * BATCH));
      const trigger = await createTrigger(sluice, called);

      const runs = await Promise.all(exports.map((id) => startRun(sluice, id)));
      const [, b = '', c = ''] = runs;
      const ends = Promise.all(runs.map((id) => runEnd(sluice, id)));
      const stopCalling = callOnAndOn(sluice, trigger);
      await Promise.all([b, c].map((id) => until(sluice, id, ({ state }) => state !== 'QUEUED')));
      // It has both accounts, and stops in the middle of them; this one takes them over, and ends in the middle.
      await using killed: Program = await start('worker', IN_THE_MIDDLE);
      await Promise.all([b, c].map((id) => until(sluice, id, ({ attempt }) => attempt >= 2)));
      expect(await killed.ended).toBe(null);
      // It knows nothing of what happened, and has everything in hand that it had.
      frozen.thaw();

      expect(await ends).toMatchObject(
        runs.map(() => ({ state: 'SUCCEEDED', problem: null, progress: { notSent: 0, unconfirmed: 0 } })),
      );
      const calledRuns = await stopCalling();
      expect(calledRuns.size).toBeGreaterThan(0);
      for (const id of calledRuns) expect(await runEnd(sluice, id)).toMatchObject({ state: 'SUCCEEDED' });
      expect(held(one)).toEqual(wanted(70 * BATCH));
      expect(held(another)).toEqual(wanted(1 + 40 * BATCH));
      for (const sandbox of [one, another]) expectKeptQuotas(sandbox);
    },
    PATIENCE_MS,
  );
});
