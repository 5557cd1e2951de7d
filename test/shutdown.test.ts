import { once } from 'node:events';
import { Agent, request, type ClientRequest, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { exportOf, finish, people, stoppedTime } from './helpers/engine.js';
import { connectedConnection, startRun } from './helpers/flows.js';
import { startProgram } from './helpers/program.js';
import { admitted } from './helpers/raw-client.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { bearer, startSluice, temporaryFolder, TEST_TOKEN, type Sluice } from './helpers/sluice.js';

const PEOPLE = 1_000;

/** An import that has begun, and of which the server has read two lines and a half. */
async function beginImport(sluice: Sluice): Promise<ClientRequest> {
  const headers = { 'content-type': 'text/csv', expect: '100-continue', ...bearer(TEST_TOKEN) };
  const upload = request(`${sluice.url}/profiles?id=id&segment=Late`, { method: 'PUT', headers });
  upload.flushHeaders();
  await once(upload, 'continue');
  await new Promise((resolve) =>
    upload.write('id,email\nx1,x1@example.com\nx2,x2@example.com\nx3,x3@exam', resolve),
  );
  return upload;
}

/** A server with a run that is being sent, a subscription that watches it, and an import that does not end. */
async function busyServer(folder: string) {
  const time = stoppedTime();
  const sandbox = await startTestSandbox(time.sandbox);
  const program = await startProgram(folder, sandbox);
  const { sluice } = program;
  const connectionId = await connectedConnection(sluice, sandbox);
  const exportId = await exportOf({ sluice, connectionId }, people(PEOPLE));
  const accepted = sandbox.next('accepted');
  const runId = await startRun(sluice, exportId);
  await accepted;
  const watcher = await admitted(sluice);
  const query = `subscription { exportRunChanged(runId: "${runId}") { id state } }`;
  expect((await watcher.subscribe(query)).type).toBe('next');
  const upload = await beginImport(sluice);
  const uploadCut = once(upload, 'response').then(
    () => 'answered',
    () => 'cut',
  );
  return { time, sandbox, program, runId, watcher, uploadCut };
}

/** The next start on the folder finishes what was under way, and has everything that was acknowledged. */
async function expectNothingLost(
  { time, sandbox, runId }: Awaited<ReturnType<typeof busyServer>>,
  folder: string,
) {
  time.letGo();
  await using program = await startProgram(folder, sandbox);
  const run = await finish(program.sluice, runId);
  expect(run).toMatchObject({ state: 'SUCCEEDED', progress: { members: PEOPLE, confirmed: PEOPLE } });
  expect(run.attempt).toBeGreaterThan(1);
  expect(sandbox.contactCount).toBe(PEOPLE);
  const { segments } = await program.sluice.query<{ segments: { nodes: { name: string }[] } }>(
    '{ segments { nodes { name } } }',
  );
  expect(segments.nodes.map(({ name }) => name)).toEqual(['All']);
  await sandbox[Symbol.asyncDispose]();
}

describe('a signal during a run, an import and a subscription', () => {
  it('ends the program in good order within 10 s, and the next start goes on', async () => {
    await using folder = await temporaryFolder();
    const busy = await busyServer(folder.path);
    const ended = busy.program.kill('SIGTERM');
    expect(await busy.watcher.closed).toEqual({ code: 1001, reason: 'Going away' });
    await expect(fetch(`${busy.program.sluice.url}/healthz`)).rejects.toThrow();
    // After 10 s it would have ended itself with 1.
    expect(await ended).toBe(0);
    expect(await busy.uploadCut).toBe('cut');
    await busy.program[Symbol.asyncDispose]();
    await expectNothingLost(busy, folder.path);
  });

  it('ends it at once when it comes twice, and loses nothing either', async () => {
    await using folder = await temporaryFolder();
    const busy = await busyServer(folder.path);
    const ended = busy.program.kill('SIGTERM');
    // The first one has arrived.
    await busy.watcher.closed;
    void busy.program.kill('SIGTERM');
    expect(await ended).toBe(1);
    expect(await busy.uploadCut).toBe('cut');
    await busy.program[Symbol.asyncDispose]();
    await expectNothingLost(busy, folder.path);
  });
});

describe('a server that stops', () => {
  it('lets what is under way end, and takes nothing new on connections that are open', async () => {
    await using sluice = await startSluice();
    const agent = new Agent({ keepAlive: true });
    const idle = request(`${sluice.url}/healthz`, { agent }).end();
    const [response] = (await once(idle, 'response')) as [IncomingMessage];
    const { socket } = response;
    await text(response);
    const upload = await beginImport(sluice);
    const answered = once(upload, 'response');
    const closed = once(socket, 'close');
    const stopped = sluice.stop();
    await closed;
    upload.end('ple.com\n');
    const [answer] = (await answered) as [IncomingMessage];
    expect(answer.statusCode).toBe(200);
    expect(JSON.parse(await text(answer))).toMatchObject({ received: 3, stored: 3 });
    await stopped;
    agent.destroy();
  });
});
