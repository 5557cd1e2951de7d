import { exportOf, people } from './helpers/engine.js';
import { connectedConnection } from './helpers/flows.js';
import { startProgram } from './helpers/program.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { temporaryFolder } from './helpers/sluice.js';
import { call, createTrigger, type HookAnswer } from './helpers/trigger-calls.js';

/** Calls that are under way at once, and so many that were answered before the server is killed. */
const AT_ONCE = 10;
const ANSWERED = 40;

describe('a server that is killed while it takes calls', () => {
  it('has for every call that it answered the run that it answered, and takes the repetitions of all others', async () => {
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox();
    const answered = new Map<string, string>();
    const unanswered = new Set<string>();
    await using program = await startProgram(folder.path, sandbox);
    const connectionId = await connectedConnection(program.sluice, sandbox);
    const exportId = await exportOf({ sluice: program.sluice, connectionId }, people(2));
    const trigger = await createTrigger(program.sluice, exportId);
    let killed: Promise<number | null> | undefined;
    let next = 0;
    const callOnAndOn = async () => {
      while (killed === undefined) {
        const id = `call-${(next += 1)}`;
        const answer = await call(program.sluice, trigger, id).catch((): HookAnswer | undefined => undefined);
        if (answer?.status === 202) answered.set(id, answer.body.runId ?? '');
        else unanswered.add(id);
        // It is gone, also if it should not be.
        if (answer === undefined) break;
        if (answered.size === ANSWERED) killed ??= program.kill('SIGKILL');
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, callOnAndOn));
    await killed;
    expect(answered.size).toBeGreaterThanOrEqual(ANSWERED);

    await using again = await startProgram(folder.path, sandbox);
    for (const runId of new Set(answered.values())) {
      const { exportRun } = await again.sluice.query<{ exportRun: { trigger: string } }>(
        'query ($id: ID!) { exportRun(id: $id) { trigger } }',
        { id: runId },
      );
      expect(exportRun.trigger).toBe('WEBHOOK');
    }
    for (const [id, runId] of answered) {
      expect((await call(again.sluice, trigger, id)).body).toEqual({ runId, duplicate: true });
    }
    for (const id of unanswered) expect((await call(again.sluice, trigger, id)).status).toBe(202);
  });
});
