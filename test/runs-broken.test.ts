import { join } from 'node:path';
import { rm } from 'node:fs/promises';
import { exportOf, finish, people, startEngine } from './helpers/engine.js';
import { startRun } from './helpers/flows.js';
import { startSluice, temporaryFolder } from './helpers/sluice.js';

describe('after something broke', () => {
  it('a run whose key cannot be opened any more sends nothing, and says what to do', async () => {
    await using folder = await temporaryFolder();
    await using engine = await startEngine({ sluice: { folder: folder.path } });
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, people(1_000));
    sandbox.addFault({
      on: 'importer',
      times: null,
      action: { type: 'rate-limit', retryAfterSeconds: 3_600 },
    });
    const runId = await startRun(sluice, exportId);
    await sandbox.nextCall((call) => call.kind === 'importer' && call.status === 429);
    await sluice.stop();
    await rm(join(folder.path, 'secret.key'));
    sandbox.clearFaults();
    const callsBefore = sandbox.log.length;

    await using restarted = await startSluice({ sandbox, folder: folder.path });
    const run = await finish(restarted, runId);

    expect(run.state).toBe('FAILED');
    expect(run.problem?.code).toBe('CONNECTION_FAILED');
    expect(run.problem?.remedy).toContain('secret key');
    expect(run.progress.notSent).toBe(1_000);
    expect(sandbox.log.slice(callsBefore).filter((call) => call.kind === 'importer')).toEqual([]);
  });
});
