import { finish, people, startEngine } from './helpers/engine.js';
import { createExportOf, segmentNamed, startRun } from './helpers/flows.js';

/** Little, so that a slow machine does not count as a slow destination. */
const TIME_SCALE = 2;

describe('a small export beside a large one on the same account', () => {
  it('is confirmed within 15 s of the time of the destination', async () => {
    await using engine = await startEngine({
      sandbox: { timeScale: TIME_SCALE },
      sluice: { env: { SLUICE_SANDBOX_TIME_SCALE: String(TIME_SCALE) } },
    });
    const { sluice, sandbox, connectionId } = engine;
    const exportNamed = async (name: string, csv: string) => {
      await sluice.importCsv(csv, { segment: name });
      const segmentIds = [await segmentNamed(sluice, name)];
      return createExportOf(sluice, { connectionId, segmentIds, name });
    };
    const large = await exportNamed('Large', people(20_000));
    const small = await exportNamed('Small', people(200, 100_001));
    const largeRun = await startRun(sluice, large);
    await sandbox.next('accepted', () => sandbox.batches().length === 3);
    const startedAt = sandbox.now();

    const run = await finish(sluice, await startRun(sluice, small));

    expect(run).toMatchObject({ state: 'SUCCEEDED', progress: { confirmed: 200 } });
    expect(sandbox.now() - startedAt).toBeLessThanOrEqual(15_000);
    // The large one was still in the middle of it.
    await sluice.query('mutation ($id: ID!) { cancelExportRun(id: $id) { id } }', { id: largeRun });
    expect((await finish(sluice, largeRun)).progress.notSent).toBeGreaterThan(5_000);
  }, 60_000);
});
