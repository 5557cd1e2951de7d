import type { Sandbox } from '../sandbox/sandbox.js';
import { exportOf, finish, held, imports, people, stoppedTime, wanted } from './helpers/engine.js';
import { connectedConnection, startRun } from './helpers/flows.js';
import { tamper } from './helpers/databases.js';
import { startProgram, type Death, type Program } from './helpers/program.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { temporaryFolder } from './helpers/sluice.js';

const BATCHES = 40;
const COUNT = 250 * BATCHES;

/** Starts the program on an empty folder and lets it run an export of so many people. */
async function begin(folder: string, sandbox: Sandbox, count = COUNT, death?: Death) {
  const program = await startProgram(folder, sandbox, { death });
  const connectionId = await connectedConnection(program.sluice, sandbox);
  const exportId = await exportOf({ sluice: program.sluice, connectionId }, people(count));
  return {
    program,
    run: () => startRun(program.sluice, exportId),
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

/** Starts the program again, and expects it to bring the run to its end without being asked. */
async function goOn(folder: string, sandbox: Sandbox, runId: string, count = COUNT): Promise<void> {
  await using again: Program = await startProgram(folder, sandbox);
  expect(await finish(again.sluice, runId)).toMatchObject({
    state: 'SUCCEEDED',
    problem: null,
    attempt: 2,
    progress: { members: count, skipped: 0, toSend: count, accepted: count, confirmed: count, notSent: 0 },
  });
  expect(held(sandbox)).toEqual(wanted(count));
  expect(sandbox.summary().invariants.overlapsNotExcused).toBe(0);
}

/** Watches the run until it is in the phase. */
async function untilPhase({ sluice }: Program, id: string, phase: string): Promise<void> {
  const events = sluice.subscribe<{ exportRunChanged: { readonly phase: string | null } }>(
    'subscription ($id: ID!) { exportRunChanged(runId: $id) { phase } }',
    { id },
  );
  for await (const { exportRunChanged } of events) if (exportRunChanged.phase === phase) return;
  throw new Error('The run ended before.');
}

describe('a run whose server is killed', () => {
  it.each([5, BATCHES])(
    'when batch %i was accepted goes on after the next start, and loses nobody',
    async (nth) => {
      await using folder = await temporaryFolder();
      await using sandbox = await startTestSandbox();
      await using begun = await begin(folder.path, sandbox);
      const { program } = begun;
      const gone = sandbox
        .next('accepted', () => sandbox.batches().length === nth)
        .then(() => program.kill('SIGKILL'));
      const id = await begun.run();
      expect(await gone).toBeNull();
      const sentBefore = imports(sandbox).length;
      expect(sentBefore).toBeGreaterThanOrEqual(nth);

      await goOn(folder.path, sandbox, id);
      // At most what was under way is sent twice: sixteen requests at once.
      expect(imports(sandbox).length).toBeLessThanOrEqual(BATCHES + 16);
    },
  );

  it('while it awaits the last outcomes sends nothing twice', async () => {
    await using folder = await temporaryFolder();
    const time = stoppedTime();
    await using sandbox = await startTestSandbox(time.sandbox);
    await using begun = await begin(folder.path, sandbox);
    const { program } = begun;
    const id = await begun.run();
    await untilPhase(program, id, 'CONFIRMING');
    await program.kill('SIGKILL');
    time.letGo();
    await goOn(folder.path, sandbox, id);
    expect(imports(sandbox)).toHaveLength(BATCHES);
    expect(sandbox.overlaps()).toEqual([]);
  });

  it('while it prepares begins again with preparing', async () => {
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox();
    const count = 15_000;
    // Its statements: the members are counted, a first group of entries and its figures are written, and the next.
    await using begun = await begin(folder.path, sandbox, count, { point: 'preparing', nth: 5 });
    const id = await begun.run();
    expect(await begun.program.ended).toBeNull();
    expect(imports(sandbox)).toEqual([]);
    await goOn(folder.path, sandbox, id, count);
    expect(imports(sandbox)).toHaveLength(count / 250);
  });

  it('when later batches had rows already and an earlier one had not, passes nobody over', async () => {
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox();
    // The intents of several batches are committed together; the second request does not begin.
    const death = { point: 'before the request of a batch', nth: 2 };
    await using begun = await begin(folder.path, sandbox, COUNT, death);
    const id = await begun.run();
    expect(await begun.program.ended).toBeNull();
    const last = '(SELECT MAX("id") FROM "batches")';
    expect(await tamper(folder.path, `DELETE FROM "batches" WHERE "id" = ${last} - 1 AND "id" > 2`)).toBe(1);
    await goOn(folder.path, sandbox, id);
  });

  it('politely, in the middle of sending, ends within ten seconds and goes on after the next start', async () => {
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox();
    await using begun = await begin(folder.path, sandbox);
    const { program } = begun;
    const gone = sandbox
      .next('accepted', () => sandbox.batches().length === 4)
      .then(() => program.kill('SIGTERM'));
    const id = await begun.run();
    // After ten seconds it would have ended itself with 1.
    expect(await gone).toBe(0);
    await goOn(folder.path, sandbox, id);
    // What was under way was seen through.
    expect(imports(sandbox)).toHaveLength(BATCHES);
    expect(sandbox.overlaps()).toEqual([]);
  });

  it('politely, while a request hangs, breaks it off, ends within ten seconds and sends that batch again', async () => {
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox();
    await using begun = await begin(folder.path, sandbox);
    const { program } = begun;
    sandbox.addFault({ on: 'importer', nth: 3, action: { type: 'hang', when: 'after' } });
    const hangs = sandbox.next('request', () => imports(sandbox).length >= 4);
    const id = await begun.run();
    await hangs;
    expect(await program.kill('SIGTERM')).toBe(0);
    await goOn(folder.path, sandbox, id);
  });
});
