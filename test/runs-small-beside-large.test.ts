import { finish, people, startEngine } from './helpers/engine.js';
import { createExportOf, segmentNamed, startRun } from './helpers/flows.js';

/** Little, so that a slow machine does not count as a slow destination. */
const TIME_SCALE = 2;

describe('a small export beside a large one on the same account', () => {
  it('is confirmed within twice the time that it takes alone', async () => {
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
    // Of the time of the destination: the outcome is asked for after 7 s, and then every 4 s.
    const timeOf = async (exportId: string) => {
      const startedAt = sandbox.now();
      const run = await finish(sluice, await startRun(sluice, exportId));
      expect(run).toMatchObject({ state: 'SUCCEEDED', progress: { confirmed: 200 } });
      return sandbox.now() - startedAt;
    };
    const aloneMs = await timeOf(await exportNamed('Alone', people(200, 200_001)));
    const largeRun = await startRun(sluice, large);
    await sandbox.next('accepted', () => sandbox.batches().length === 3);

    const besideMs = await timeOf(small);

    if (process.env.SLUICE_SHOW_FIGURES) process.stderr.write(`${JSON.stringify({ aloneMs, besideMs })}\n`);
    expect(besideMs).toBeLessThanOrEqual(2 * aloneMs);
    // The large one was still in the middle of it.
    await sluice.query('mutation ($id: ID!) { cancelExportRun(id: $id) { id } }', { id: largeRun });
    expect((await finish(sluice, largeRun)).progress.notSent).toBeGreaterThan(5_000);
  }, 60_000);
});
