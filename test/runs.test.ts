import { connectedConnection, createExportOf, runToEnd, segmentNamed } from './helpers/flows.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { startSluice } from './helpers/sluice.js';

describe('a run', () => {
  it('delivers a segment and ends when the destination has confirmed everybody', async () => {
    await using sandbox = await startTestSandbox();
    await using sluice = await startSluice({ sandbox });
    await sluice.importCsv('id,email,first_name,last_name,phone\n1,a@example.com,Ann,,\n2,b@example.com,,,\n3,bad,x,,\n4,A@example.com,Zoe,,\n', { segment: 'All' });
    const connectionId = await connectedConnection(sluice, sandbox);
    const exportId = await createExportOf(sluice, { connectionId, segmentIds: [await segmentNamed(sluice, 'All')] });
    const run = await runToEnd(sluice, exportId);
  });
});
