import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { connectedConnection, createExportOf, segmentNamed, startRun } from './helpers/flows.js';
import { startMeasured, type MeasuredProgram } from './helpers/measured-program.js';
import type { Measurement } from './helpers/measured-server.js';
import { admitted, type RawClient } from './helpers/raw-client.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { bearer, TEST_TOKEN, type Sluice } from './helpers/sluice.js';

const SOCKETS = 50;
const SUBSCRIPTIONS_PER_SOCKET = 20;
/** 60 of 1,000 subscribers: a little over 5 %. */
const STALLED_SOCKETS = 3;
const CHANGES = 10_000;
const RUNS = 10;
/** How many times as long as after one change of each run it may take after a thousand of each: most of them are never told. */
const MOST_TIMES = 5;
const ROUNDS = 3;

const REQUESTS = 20_000;
const CONNECTIONS = 50;
const MEGABYTE = 1_000_000;
/** Measuring costs the server time, which others need. */
const MEASURE_INTERVAL_MS = 500;

/** Runs that wait, of as many exports. */
async function waitingRuns(sluice: Sluice, connectionId: string, count: number): Promise<string[]> {
  const segmentIds = [await segmentNamed(sluice, 'All')];
  const runIds: string[] = [];
  for (let n = 0; n < count; n++) {
    runIds.push(
      await startRun(
        sluice,
        await createExportOf(sluice, { connectionId, segmentIds, mapping: { email: 'email' } }),
      ),
    );
  }
  return runIds;
}

/** Somebody with twenty subscriptions on one socket. */
class Watcher {
  #left = 0;
  #round = 0;
  #done = Promise.withResolvers<number>();

  private constructor(readonly client: RawClient) {}

  static async admitted(sluice: Sluice): Promise<Watcher> {
    return new Watcher(await admitted(sluice));
  }

  /** Subscribes to the runs in turn, and resolves when every subscription has told the first state. */
  async watch(runIds: readonly string[]): Promise<void> {
    let present = 0;
    this.#round += 1;
    this.#left = SUBSCRIPTIONS_PER_SOCKET;
    this.#done = Promise.withResolvers();
    const ready = Promise.withResolvers<undefined>();
    this.client.socket.removeAllListeners('message');
    this.client.socket.on('message', (data: Buffer) => {
      const message = data.toString();
      if (message.includes('"QUEUED"') && (present += 1) === SUBSCRIPTIONS_PER_SOCKET)
        ready.resolve(undefined);
      if (message.includes('"SUCCEEDED"') && (this.#left -= 1) === 0) this.#done.resolve(performance.now());
    });
    for (let n = 0; n < SUBSCRIPTIONS_PER_SOCKET; n++) {
      const query = `subscription { exportRunChanged(runId: "${runIds[n % runIds.length] ?? ''}") { id state } }`;
      await this.client.send({ id: `${this.#round}-${n}`, type: 'subscribe', payload: { query } });
    }
    await ready.promise;
  }

  /** The moment at which the last of them has told the final state. */
  get sawTheEnd(): Promise<number> {
    return this.#done.promise;
  }
}

/** Makes the requests over that many connections; answers how many had no status 200. */
async function flood(sluice: Sluice, requests: number): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  let begun = 0;
  let failed = 0;
  const body = JSON.stringify({ query: '{ me { id } }' });
  const headers = { 'content-type': 'application/json', ...bearer(TEST_TOKEN) };
  const caller = async () => {
    while (begun < requests) {
      begun += 1;
      const call = request(`${sluice.url}/graphql`, { method: 'POST', headers, agent });
      call.end(body);
      const [response] = (await once(call, 'response')) as [NodeJS.ReadableStream & { statusCode: number }];
      const answer = await text(response);
      if (response.statusCode !== 200 || answer.includes('errors')) failed += 1;
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, caller));
  agent.destroy();
  return failed;
}

describe('crowds', () => {
  it('of 1,000 subscribers see the end of 10,000 changes, and of 20,000 requests each is answered', async () => {
    await using sandbox = await startTestSandbox();
    await using program = await startMeasured({
      SLUICE_SANDBOX_HOSTS: sandbox.host,
      SLUICE_RATE_PER_USER: '1000000',
      SLUICE_RATE_PER_ADDRESS: '1000000',
    });
    const { sluice } = program;
    await sluice.importCsv('id,email\n1,a@example.com\n', { segment: 'All' });
    const connectionId = await connectedConnection(sluice, sandbox);
    await flood(sluice, 3_000);
    const idle = await program.measure();

    const watchers = await Promise.all(Array.from({ length: SOCKETS }, () => Watcher.admitted(sluice)));
    const stalled = watchers.splice(0, STALLED_SOCKETS);
    const grownBytes = await expectFinalStates(program, connectionId, watchers, stalled);
    expect(grownBytes / MEGABYTE).toBeLessThanOrEqual(50);

    const quiet = await program.measure();
    expect(await flood(sluice, REQUESTS)).toBe(0);
    const flooded = await program.measure();
    expect((flooded.rssBytes - quiet.rssBytes) / MEGABYTE).toBeLessThanOrEqual(20);

    // Whoever reads nothing sends no pong either, and is cut by the second ping.
    await untilConnected(program, watchers.length);
    await Promise.all(stalled.map(({ client }) => expectCut(client)));
    for (const { client } of watchers) {
      expect(client.socket.readyState).toBe(WebSocket.OPEN);
      client.socket.close();
    }
    await Promise.all(watchers.map(({ client }) => client.closed));

    const after = await untilConnected(program, 0);
    expect((after.heapBytes - idle.heapBytes) / MEGABYTE).toBeLessThanOrEqual(10);
    expect(after.listeners).toBe(idle.listeners);
    expect(after.resources).toMatchObject({ TCPServerWrap: 1 });
    expect(Object.keys(after.resources)).not.toContain('Timeout');
    expect(program.complaints()).toBe('');
  }, 120_000);
});

/**
 * Each round, whoever reads sees the final state of every run: once after as many changes as there are runs, which is the
 * measure of the machine, and once after all of them. Answers by how much the changes made memory grow.
 */
async function expectFinalStates(
  program: MeasuredProgram,
  connectionId: string,
  watchers: readonly Watcher[],
  stalled: readonly Watcher[],
): Promise<number> {
  const fewMs: number[] = [];
  const manyMs: number[] = [];
  let grownBytes = 0;
  const isSoon = () => Math.min(...manyMs) <= MOST_TIMES * Math.min(...fewMs);
  for (let round = 0; round < ROUNDS; round++) {
    fewMs.push(await timeOfEnd(program, connectionId, watchers, RUNS));
    const stall = round === 0 ? stalled : [];
    const { rssBytes } = await program.measure();
    manyMs.push(await timeOfEnd(program, connectionId, watchers, CHANGES, stall));
    grownBytes = Math.max(grownBytes, (await program.measure()).rssBytes - rssBytes);
    if (isSoon()) break;
  }
  if (process.env.SLUICE_SHOW_FIGURES) process.stderr.write(`${JSON.stringify({ fewMs, manyMs })}\n`);
  expect({ fewMs, manyMs, isSoon: isSoon() }).toMatchObject({ isSoon: true });
  return grownBytes;
}

/** How long after the first of so many changes the last watcher has seen the end of every run. */
async function timeOfEnd(
  program: MeasuredProgram,
  connectionId: string,
  watchers: readonly Watcher[],
  changes: number,
  stalled: readonly Watcher[] = [],
): Promise<number> {
  const runIds = await waitingRuns(program.sluice, connectionId, RUNS);
  await Promise.all([...watchers, ...stalled].map((watcher) => watcher.watch(runIds)));
  for (const { client } of stalled) client.socket.pause();
  const begun = performance.now();
  await program.finish(runIds, changes);
  return Math.max(...(await Promise.all(watchers.map(({ sawTheEnd }) => sawTheEnd)))) - begun;
}

/** It reads again only now, or it would have answered the ping after all. */
async function expectCut({ socket, closed }: RawClient): Promise<void> {
  socket.on('error', () => undefined);
  socket.resume();
  expect(await closed).toMatchObject({ code: 1006 });
}

/** Waits until the server has that many connections and no more. */
async function untilConnected(program: MeasuredProgram, connections: number): Promise<Measurement> {
  for (;;) {
    const measured = await program.measure();
    if ((measured.resources.TCPSocketWrap ?? 0) <= connections) return measured;
    await setTimeout(MEASURE_INTERVAL_MS);
  }
}
