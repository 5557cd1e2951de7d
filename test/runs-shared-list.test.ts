import { exportOf, finish, people, runFully, startEngine, wanted, held } from './helpers/engine.js';
import { createExportOf, segmentNamed, startRun } from './helpers/flows.js';
import { createPatience } from './helpers/patience.js';

describe('two exports to one list', () => {
  it('let a small run with other people pass a big one', async () => {
    const { startDeadline, runOut } = createPatience();
    await using engine = await startEngine({ sluice: { startDeadline } });
    const { sluice, sandbox, connectionId } = engine;
    const big = await exportOf(engine, people(20_000));
    // Their keys span everything that the big run has, without one address in common.
    const few = ['a@other.example.com', 'q@other.example.com', 'zz@other.example.com'];
    await sluice.importCsv(`id,email\n${few.map((email, index) => `few-${index},${email}`).join('\n')}\n`, {
      segment: 'Few',
    });
    const small = await createExportOf(sluice, {
      connectionId,
      segmentIds: [await segmentNamed(sluice, 'Few')],
    });

    // Its first batch gets no answer before the small one has ended: the big one cannot end before.
    sandbox.addFault({ on: 'importer', action: { type: 'hang', when: 'after' } });
    const bigRun = await startRun(sluice, big);
    await sandbox.nextCall((call) => call.kind === 'importer');
    const smallEnd = await runFully(sluice, small);
    const bigWhenSmallEnded = await progressOf(sluice, bigRun);
    runOut();

    expect(smallEnd.state).toBe('SUCCEEDED');
    expect(bigWhenSmallEnded.confirmed).toBeLessThan(20_000);
    expect((await finish(sluice, bigRun)).state).toBe('SUCCEEDED');
    expect(sandbox.overlaps()).toEqual([]);
  });

  it('go on when the run whose addresses they waited for is cancelled', async () => {
    const { startDeadline, runOut } = createPatience();
    await using engine = await startEngine({ sluice: { startDeadline } });
    const { sluice, sandbox, connectionId } = engine;
    const first = await exportOf(engine, people(300));
    const second = await createExportOf(sluice, {
      connectionId,
      segmentIds: [await segmentNamed(sluice, 'All')],
    });
    // Nobody knows whether a batch was taken that gets no answer: it stays undecided until the run is cancelled.
    sandbox.addFault({ on: 'importer', times: null, action: { type: 'hang', when: 'before' } });
    const firstRun = await startRun(sluice, first);
    await sandbox.nextCall((call) => call.kind === 'importer');
    const secondRun = await startRun(sluice, second);
    await sandbox.nextCall((call) => call.kind === 'lists');
    await sluice.query('mutation ($id: ID!) { cancelExportRun(id: $id) { id } }', { id: firstRun });
    // Before the calls that hang are broken off: the second run begins to send as soon as the first has ended.
    sandbox.clearFaults();
    runOut();

    expect((await finish(sluice, firstRun)).state).toBe('CANCELED');
    expect((await finish(sluice, secondRun)).state).toBe('SUCCEEDED');
    expect(held(sandbox)).toEqual(wanted(300));
  });
});

async function progressOf(
  sluice: Parameters<typeof startRun>[0],
  runId: string,
): Promise<{ confirmed: number }> {
  const { exportRun } = await sluice.query<{ exportRun: { progress: { confirmed: number } } }>(
    'query ($id: ID!) { exportRun(id: $id) { progress { confirmed } } }',
    { id: runId },
  );
  return exportRun.progress;
}
