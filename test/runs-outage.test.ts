import type { FaultAction } from '../sandbox/faults.js';
import type { Sandbox } from '../sandbox/sandbox.js';
import {
  bodiesOf,
  emailOf,
  exportOf,
  fastTime,
  finish,
  held,
  imports,
  people,
  runFully,
  startEngine,
  wanted,
  type Engine,
  type FastTime,
} from './helpers/engine.js';
import {
  connectedConnection,
  createExportOf,
  segmentNamed,
  startRun,
  type ExportWishes,
  type FinishedRun,
} from './helpers/flows.js';
import { scrape, METRICS_TOKEN } from './helpers/metrics.js';
import { startProgram } from './helpers/program.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { mostSends } from './helpers/sends.js';
import { startSluice, temporaryFolder, type Sluice } from './helpers/sluice.js';

/*
 * An importer that is out of order for an hour, while everything else of the destination works. How many are in doubt
 * afterwards, and how often anybody was sent, is read from the sandbox's record.
 */

const BATCH = 250;
/** In flight at once, when the first failure is known. */
const MAX_IN_FLIGHT = 16;
/** Within an hour after the breaker opened: after 1, 3, 7, 15 and 31 minutes. */
const TESTS_IN_AN_HOUR = 5;
const HOUR_MS = 3_600_000;
/** As `fastTime` has it. */
const DEADLINE_MS = 24 * HOUR_MS;
const KEEP = { sandbox: { keepBodies: true } };
const PATIENCE_MS = 240_000;

/** Ends the faults an hour after the first batch has failed, by the server's clock. @returns what resolves then. */
async function hourOfFaults(sandbox: Sandbox, { clock }: FastTime): Promise<void> {
  await sandbox.nextCall(({ kind }) => kind === 'importer');
  await clock.sleep(HOUR_MS);
  sandbox.clearFaults();
}

/** How many different people were in the requests. */
function peopleIn(sandbox: Sandbox): number {
  return new Set(bodiesOf(imports(sandbox)).flatMap((contacts) => contacts.map(({ email }) => email))).size;
}

/** So many exports of so many people each, of whom no two have anybody in common. */
async function smallExports(
  { sluice, connectionId }: Engine,
  count: number,
  size: number,
  wishes: Partial<ExportWishes> = {},
): Promise<string[]> {
  const exports: string[] = [];
  for (let n = 0; n < count; n += 1) {
    const segment = `Segment ${n}`;
    await sluice.importCsv(people(size, 1 + n * size), { segment });
    const segmentIds = [await segmentNamed(sluice, segment)];
    exports.push(await createExportOf(sluice, { connectionId, segmentIds, name: `Export ${n}`, ...wishes }));
  }
  return exports;
}

interface Shown {
  readonly state: string;
  readonly problem: { readonly code: string } | null;
}

/** Watches the run until it shows this problem; null: none. */
async function untilProblem(sluice: Sluice, id: string, code: string | null): Promise<void> {
  const events = sluice.subscribe<{ exportRunChanged: Shown }>(
    'subscription ($id: ID!) { exportRunChanged(runId: $id) { state problem { code } } }',
    { id },
  );
  for await (const { exportRunChanged } of events) {
    if ((exportRunChanged.problem?.code ?? null) === code) return;
  }
  throw new Error('The run ended before.');
}

/** Watches the run to its end. @returns the problems that it showed, each once; null: none. */
async function problemsOf(sluice: Sluice, id: string): Promise<(string | null)[]> {
  const codes = new Set<string | null>();
  const events = sluice.subscribe<{ exportRunChanged: Shown }>(
    'subscription ($id: ID!) { exportRunChanged(runId: $id) { state problem { code } } }',
    { id },
  );
  for await (const { exportRunChanged } of events) codes.add(exportRunChanged.problem?.code ?? null);
  return [...codes];
}

describe('an importer that is out of order for an hour', () => {
  const outages: [string, FaultAction][] = [
    ['answers 500', { type: 'answer', status: 500 }],
    ['accepts and breaks the connection', { type: 'reset', when: 'after' }],
    ['answers with a web page', { type: 'html' }],
  ];

  it.each(outages)(
    '%s: at most two batches are unconfirmed, and few people were sent',
    async (_name, action) => {
      const time = fastTime(1_000);
      await using engine = await startEngine({ ...KEEP, sluice: time });
      const { sandbox, sluice } = engine;
      const count = 40 * BATCH;
      const exportId = await exportOf(engine, people(count));
      sandbox.addFault({ on: 'importer', times: null, action });
      const over = hourOfFaults(sandbox, time).then(() => ({
        calls: imports(sandbox).length,
        touched: peopleIn(sandbox),
      }));
      const id = await startRun(sluice, exportId);
      await untilProblem(sluice, id, 'SENDING_PAUSED');
      const { calls, touched } = await over;
      const run = await finish(sluice, id);

      expect(run).toMatchObject({ problem: null, progress: { rejected: 0, notSent: 0 } });
      expect(run.progress.unconfirmed).toBeLessThanOrEqual(2 * BATCH);
      expect(mostSends(sandbox)).toBeLessThanOrEqual(3);
      // What was under way at the first failure, two more, and the tests.
      expect(calls).toBeLessThanOrEqual(MAX_IN_FLIGHT + 2 + TESTS_IN_AN_HOUR);
      expect(touched).toBeLessThanOrEqual((MAX_IN_FLIGHT + 2 + TESTS_IN_AN_HOUR) * BATCH);
      expect(run.progress.confirmed).toBe(count - run.progress.unconfirmed);
    },
    PATIENCE_MS,
  );

  it(
    'answers 500 to small runs too: at most two batches of all runs of the account are unconfirmed',
    async () => {
      const time = fastTime(1_000);
      await using engine = await startEngine({
        sandbox: {
          ...KEEP.sandbox,
          lists: [
            { id: 1, name: 'A' },
            { id: 2, name: 'B' },
          ],
        },
        sluice: time,
      });
      const { sandbox, sluice, connectionId } = engine;
      const first = await exportOf(engine, people(2 * BATCH));
      const second = await createExportOf(sluice, {
        connectionId,
        segmentIds: [await segmentNamed(sluice, 'All')],
        name: 'Second',
        listId: '2',
      });
      sandbox.addFault({ on: 'importer', times: null, action: { type: 'answer', status: 500 } });
      const over = hourOfFaults(sandbox, time);
      const ids = [await startRun(sluice, first), await startRun(sluice, second)];
      await over;
      const runs = await Promise.all(ids.map((id) => finish(sluice, id)));
      const unconfirmed = runs.reduce((sum, { progress }) => sum + progress.unconfirmed, 0);
      expect(unconfirmed).toBeLessThanOrEqual(2 * BATCH);
      expect(runs.every(({ progress }) => progress.notSent === 0)).toBe(true);
    },
    PATIENCE_MS,
  );

  it(
    'together with everything else: no batch is spent on tests that a harmless question would have spared',
    async () => {
      const time = fastTime(1_000);
      await using engine = await startEngine({ ...KEEP, sluice: time });
      const { sandbox, sluice } = engine;
      const count = 20 * BATCH;
      const exportId = await exportOf(engine, people(count));
      const fault = { times: null, action: { type: 'answer', status: 500 } } as const;
      sandbox.addFault({ on: 'importer', ...fault });
      const over = hourOfFaults(sandbox, time).then(() => imports(sandbox).length);
      const failing = sandbox.nextCall(({ kind }) => kind === 'importer');
      const id = await startRun(sluice, exportId);
      await failing;
      sandbox.addFault({ on: 'lists', ...fault });
      // The harmless question: by its third try everything that was under way when the breaker opened has been answered.
      for (let n = 0; n < 3; n += 1) await sandbox.nextCall(({ kind }) => kind === 'lists');
      const calls = imports(sandbox).length;
      expect(calls).toBeLessThanOrEqual(MAX_IN_FLIGHT + 2);
      expect(await over).toBe(calls);
      const run = await finish(sluice, id);
      expect(run).toMatchObject({ state: 'SUCCEEDED', progress: { confirmed: count, unconfirmed: 0 } });
      expect(held(sandbox)).toEqual(wanted(count));
      // A batch may have been the first and the third failure of those that opened the breaker.
      expect(mostSends(sandbox)).toBeLessThanOrEqual(3);
    },
    PATIENCE_MS,
  );
});

describe('an importer that is out of order while many small runs come', () => {
  const FEW = 3;

  it(
    'of one export after the other: at most two batches are unconfirmed, and all get through afterwards',
    async () => {
      const time = fastTime(1_000);
      await using engine = await startEngine({ ...KEEP, sluice: time });
      const { sandbox, sluice } = engine;
      const exports = await smallExports(engine, 12, FEW);
      sandbox.addFault({ on: 'importer', times: null, action: { type: 'answer', status: 500 } });
      const over = hourOfFaults(sandbox, time);
      const runs: FinishedRun[] = [];
      for (const exportId of exports) runs.push(await runFully(sluice, exportId));
      await over;
      const unconfirmed = runs.filter(({ progress }) => progress.unconfirmed > 0);
      expect(unconfirmed.length).toBeLessThanOrEqual(2);
      expect(mostSends(sandbox)).toBeLessThanOrEqual(3);
      for (const exportId of exports) {
        const { progress } = await runFully(sluice, exportId);
        expect(progress).toMatchObject({ rejected: 0, unconfirmed: 0, notSent: 0 });
      }
      expect(held(sandbox)).toEqual(wanted(12 * FEW));
    },
    PATIENCE_MS,
  );

  const faults: [string, FaultAction][] = [
    ['answers 500', { type: 'answer', status: 500 }],
    ['accepts batches and loses them', { type: 'batch', status: 'failed', processed: 0 }],
  ];

  it.each(faults)(
    'of the same export, %s: nobody is sent more than three times without proof, also after a restart',
    async (_name, action) => {
      const time = fastTime(1_000);
      await using folder = await temporaryFolder();
      await using sandbox = await startTestSandbox(KEEP.sandbox);
      const options = { ...time, folder: folder.path, sandbox };
      sandbox.addFault({ on: 'importer', times: null, action });
      const over = hourOfFaults(sandbox, time).then(() => imports(sandbox).length);
      const begin = async () => {
        await using sluice = await startSluice(options);
        const connectionId = await connectedConnection(sluice, sandbox);
        const exportId = await exportOf({ sluice, connectionId }, people(FEW));
        expect(await runFully(sluice, exportId)).toMatchObject({ progress: { unconfirmed: FEW } });
        const next = await startRun(sluice, exportId);
        await untilProblem(sluice, next, 'SENDING_PAUSED');
        return { exportId, next };
      };
      const { exportId, next } = await begin();
      await using sluice = await startSluice(options);
      const runs = [await finish(sluice, next)];
      for (let n = 0; n < 5; n += 1) runs.push(await runFully(sluice, exportId));
      expect(await over).toBe(3);
      expect(runs.map(({ progress }) => progress.unconfirmed)).toEqual(Array(6).fill(0));
      expect(imports(sandbox)).toHaveLength(3 + 1);
      expect(held(sandbox)).toEqual(wanted(FEW));
    },
    PATIENCE_MS,
  );

  it(
    'ends for all with a batch that is refused because of its contacts',
    async () => {
      await using engine = await startEngine({ ...KEEP, sluice: fastTime(1_000) });
      const { sandbox, sluice } = engine;
      const [first = '', second = '', third = ''] = await smallExports(engine, 3, 1);
      sandbox.addFault({ on: 'importer', times: 3, action: { type: 'answer', status: 500 } });
      sandbox.addFault({ on: 'importer', nth: 4, action: { type: 'refuse', contacts: [1] } });
      expect(await runFully(sluice, first)).toMatchObject({ progress: { unconfirmed: 1 } });
      const refused = await startRun(sluice, second);
      expect(await problemsOf(sluice, refused)).toContain('SENDING_PAUSED');
      expect(await finish(sluice, refused)).toMatchObject({ progress: { rejected: 1 } });
      const last = await startRun(sluice, third);
      expect(await problemsOf(sluice, last)).toEqual([null]);
      expect(await finish(sluice, last)).toMatchObject({ state: 'SUCCEEDED' });
    },
    PATIENCE_MS,
  );

  it(
    'is not remembered after a proof: a failure after a restart pauses nothing',
    async () => {
      // A minute takes 0.6 s.
      const time = fastTime(100);
      await using folder = await temporaryFolder();
      await using sandbox = await startTestSandbox(KEEP.sandbox);
      const options = { ...time, folder: folder.path, sandbox };
      // Both batches fail. One of them uses up its tries, and the other one is accepted.
      sandbox.addFault({ on: 'importer', times: 5, action: { type: 'answer', status: 500 } });
      sandbox.addFault({ on: 'importer', nth: 6, action: { type: 'withhold', status: 'active' } });
      const begin = async () => {
        await using sluice = await startSluice(options);
        const connectionId = await connectedConnection(sluice, sandbox);
        const id = await startRun(sluice, await exportOf({ sluice, connectionId }, people(2 * BATCH)));
        await untilProblem(sluice, id, 'SENDING_PAUSED');
        await untilProblem(sluice, id, null);
        return { connectionId, id };
      };
      const { connectionId, id } = await begin();
      time.pass(HOUR_MS);
      sandbox.clearFaults();
      sandbox.addFault({
        on: 'importer',
        containing: emailOf(1_000),
        action: { type: 'answer', status: 502 },
      });
      await using sluice = await startSluice(options);
      await sluice.importCsv(people(2, 1_000), { segment: 'Small' });
      const segmentIds = [await segmentNamed(sluice, 'Small')];
      const small = await startRun(sluice, await createExportOf(sluice, { connectionId, segmentIds }));
      expect(await problemsOf(sluice, small)).toEqual([null]);
      expect(await finish(sluice, small)).toMatchObject({ state: 'SUCCEEDED' });
      expect(await finish(sluice, id)).toMatchObject({ state: 'SUCCEEDED_WITH_WARNINGS' });
    },
    PATIENCE_MS,
  );

  it(
    'tests with one run at a time: the others spend no calls',
    async () => {
      const time = fastTime(1_000);
      await using engine = await startEngine({ ...KEEP, sluice: time });
      const { sandbox, sluice } = engine;
      const count = 6;
      const exports = await smallExports(engine, count, 20, { leavers: 'UNSUBSCRIBE' });
      for (const exportId of exports) await runFully(sluice, exportId);
      // The clock of the destination is looked at before each removal.
      for (let n = 0; n < count; n += 1)
        await sluice.importCsv(people(19, 1 + n * 20), { segment: `Segment ${n}` });
      sandbox.addFault({ on: 'importer', times: null, action: { type: 'answer', status: 500 } });
      const over = hourOfFaults(sandbox, time).then(() => [...sandbox.log]);
      const ids: string[] = [];
      for (const exportId of exports) ids.push(await startRun(sluice, exportId));
      for (const id of ids) await untilProblem(sluice, id, 'SENDING_PAUSED');
      const from = sandbox.log.length;
      const calls = (await over).slice(from).map(({ kind }) => kind);
      const tests = calls.filter((kind) => kind === 'importer').length;
      expect(tests).toBeGreaterThan(1);
      // The question, and the look at the clock; the last test may not have been sent yet.
      expect(calls.filter((kind) => kind === 'lists').length).toBeLessThanOrEqual(2 * (tests + 1));
      for (const id of ids) await finish(sluice, id);
    },
    PATIENCE_MS,
  );
});

describe('a run that waits for the circuit breaker', () => {
  it(
    'shows it, in the run and in the figures, also another run of the account, and goes on by itself',
    async () => {
      const { env, ...time } = fastTime(1_000);
      await using engine = await startEngine({
        ...KEEP,
        sluice: { ...time, env: { ...env, SLUICE_METRICS_TOKEN: METRICS_TOKEN } },
      });
      const { sandbox, sluice, connectionId } = engine;
      const exportId = await exportOf(engine, people(10 * BATCH));
      await sluice.importCsv(people(2, 50_001), { segment: 'Few' });
      const few = await createExportOf(sluice, {
        connectionId,
        segmentIds: [await segmentNamed(sluice, 'Few')],
        name: 'Few',
      });
      sandbox.addFault({ on: 'importer', times: null, action: { type: 'answer', status: 500 } });
      const id = await startRun(sluice, exportId);
      await untilProblem(sluice, id, 'SENDING_PAUSED');
      expect((await scrape(sluice)).value('sluice_account_breaker_open')).toBe(1);
      const fewId = await startRun(sluice, few);
      await untilProblem(sluice, fewId, 'SENDING_PAUSED');
      sandbox.clearFaults();
      for (const one of [id, fewId]) {
        expect(await finish(sluice, one)).toMatchObject({ state: 'SUCCEEDED', problem: null });
      }
      expect((await scrape(sluice)).value('sluice_account_breaker_open')).toBe(0);
    },
    PATIENCE_MS,
  );

  it(
    'ends at once when it is cancelled, with nobody in doubt who was never sent',
    async () => {
      await using engine = await startEngine({ ...KEEP, sluice: fastTime(1_000) });
      const { sandbox, sluice } = engine;
      const exportId = await exportOf(engine, people(40 * BATCH));
      sandbox.addFault({ on: 'importer', times: null, action: { type: 'answer', status: 500 } });
      const id = await startRun(sluice, exportId);
      await untilProblem(sluice, id, 'SENDING_PAUSED');
      await sluice.query('mutation ($id: ID!) { cancelExportRun(id: $id) { id } }', { id });
      const run = await finish(sluice, id);
      expect(run).toMatchObject({ state: 'CANCELED', problem: null });
      expect(run.progress.unconfirmed).toBe(peopleIn(sandbox));
    },
    PATIENCE_MS,
  );

  it(
    'ends at its deadline',
    async () => {
      const time = fastTime(1_000);
      await using engine = await startEngine({ sluice: time });
      const { sandbox, sluice } = engine;
      const exportId = await exportOf(engine, people(40 * BATCH));
      sandbox.addFault({ on: 'importer', times: null, action: { type: 'answer', status: 500 } });
      const id = await startRun(sluice, exportId);
      await untilProblem(sluice, id, 'SENDING_PAUSED');
      time.pass(DEADLINE_MS);
      const run = await finish(sluice, id);
      expect(run).toMatchObject({ state: 'FAILED', problem: { code: 'DEADLINE_PASSED' } });
      expect(run.progress.notSent).toBeGreaterThan(0);
    },
    PATIENCE_MS,
  );

  it(
    'goes on after restarts amid the outage, which spend one try each',
    async () => {
      await using folder = await temporaryFolder();
      await using sandbox = await startTestSandbox({ keepBodies: true });
      const count = 10 * BATCH;
      // A minute of the destination's time takes 0.6 s here.
      const env = { SLUICE_SANDBOX_TIME_SCALE: '100' };
      sandbox.addFault({ on: 'importer', times: null, action: { type: 'answer', status: 500 } });
      const begin = async () => {
        await using program = await startProgram(folder.path, sandbox, { env });
        const connectionId = await connectedConnection(program.sluice, sandbox);
        const exportId = await exportOf({ sluice: program.sluice, connectionId }, people(count));
        const id = await startRun(program.sluice, exportId);
        await untilProblem(program.sluice, id, 'SENDING_PAUSED');
        await program.kill('SIGKILL');
        return id;
      };
      const id = await begin();
      const before = imports(sandbox).length;
      const lives = 2;
      for (let life = 0; life < lives; life += 1) {
        const death = { point: 'when the receipt arrives', nth: 1 };
        await using program = await startProgram(folder.path, sandbox, { env, death });
        expect(await program.ended).toBeNull();
      }
      expect(imports(sandbox).length - before).toBeLessThanOrEqual(2 * lives);
      sandbox.clearFaults();
      await using last = await startSluice({ folder: folder.path, sandbox, env });
      const run = await finish(last, id);
      expect(run.progress.unconfirmed).toBeLessThanOrEqual(2 * BATCH);
      expect(run.progress.confirmed).toBe(count - run.progress.unconfirmed);
      expect(mostSends(sandbox)).toBeLessThanOrEqual(3);
    },
    PATIENCE_MS,
  );
});
