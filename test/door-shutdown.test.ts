import { request } from 'node:http';
import { connectedConnection, createExportOf, segmentNamed, startRun } from './helpers/flows.js';
import { admitted, RawClient } from './helpers/raw-client.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { bearer, startSluice, temporaryFolder, TEST_TOKEN } from './helpers/sluice.js';

describe('when the server stops', () => {
  it('closes every socket with 1001, even in the middle of a run, and does not call the run finished', async () => {
    // Its time stands still, so that the run never ends.
    await using sandbox = await startTestSandbox({ now: () => 0, quotas: false });
    await using sluice = await startSluice({ sandbox });
    await sluice.importCsv('id,email,first_name,last_name,phone\n1,a@example.com,Ann,Lee,\n', {
      segment: 'All',
    });
    const connectionId = await connectedConnection(sluice, sandbox);
    const segmentIds = [await segmentNamed(sluice, 'All')];
    const exportId = await createExportOf(sluice, { connectionId, segmentIds });

    const idle = new RawClient(sluice);
    await idle.init();
    const client = await admitted(sluice);
    const runId = await startRun(sluice, exportId);
    const first = await client.subscribe(`subscription { exportRunChanged(runId: "${runId}") { id state } }`);
    expect(first.type).toBe('next');
    await sluice.stop();
    expect(await client.closed).toEqual({ code: 1001, reason: 'Going away' });
    expect(await idle.closed).toEqual({ code: 1001, reason: 'Going away' });
  });

  it('stops once, however often it is asked', async () => {
    await using sluice = await startSluice();
    await Promise.all([sluice.stop(), sluice.stop()]);
    await expect(fetch(`${sluice.url}/healthz`)).rejects.toThrow();
  });

  it('cuts an import that does not end, and keeps its complete lines', async () => {
    await using folder = await temporaryFolder();
    await using first = await startSluice({ folder: folder.path });
    const headers = { 'content-type': 'text/csv', ...bearer(TEST_TOKEN) };
    const upload = request(`${first.url}/profiles?id=id&segment=All`, { method: 'PUT', headers });
    const cut = new Promise((resolve) => upload.once('error', resolve));
    await new Promise((resolve) =>
      upload.write('id,email\n1,a@example.com\n2,b@example.com\n3,c@exam', resolve),
    );
    await first.stop();
    expect(await cut).toMatchObject({ code: 'ECONNRESET' });

    await using second = await startSluice({ folder: folder.path });
    expect(await second.query('{ profileCount segments { totalCount } }')).toEqual({
      profileCount: 2,
      segments: { totalCount: 0 },
    });
  });
});
