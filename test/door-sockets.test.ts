import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { CloseCode } from 'graphql-ws';
import { WebSocket } from 'ws';
import { failuresOf } from './helpers/both-doors.js';
import { dropTable } from './helpers/damage.js';
import { admitted, RawClient } from './helpers/raw-client.js';
import { bearer, startSluice, TEST_TOKEN, type Sluice } from './helpers/sluice.js';

const PAGE = 'https://app.example.com';
const RUNS = { query: 'subscription { exportRunChanged { id } }' };

/** What an upgrade is answered that does not become a socket. */
async function refusalOf(url: string, options: { origin?: string; protocolVersion?: number } = {}) {
  const socket = new WebSocket(url, 'graphql-transport-ws', options);
  socket.on('error', () => undefined);
  const [, response] = (await once(socket, 'unexpected-response')) as [
    unknown,
    NodeJS.ReadableStream & { statusCode: number },
  ];
  const body = JSON.parse(await text(response)) as {
    errors: { extensions: { code: string; remedy: string } }[];
  };
  const { code, remedy } = body.errors[0]?.extensions ?? {};
  return { status: response.statusCode, code, remedy };
}

/**
 * What the server's first frame says, which must be a close. Read by hand: clients do not go into a connection whose
 * server has taken none of their protocols.
 */
async function firstClose(sluice: Sluice, protocols: string | undefined) {
  const call = request(`${sluice.url}/graphql`, {
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      ...(protocols && { 'sec-websocket-protocol': protocols }),
    },
  });
  call.end();
  const [, socket, head] = (await once(call, 'upgrade')) as [IncomingMessage, Socket, Buffer];
  const frame = head.length > 0 ? head : ((await once(socket, 'data')) as [Buffer])[0];
  socket.destroy();
  expect(frame[0]).toBe(0x88);
  const length = frame[1] ?? 0;
  return { code: frame.readUInt16BE(2), reason: frame.subarray(4, 2 + length).toString() };
}

describe('every close code of graphql-transport-ws', () => {
  let sluice: Sluice;
  beforeAll(async () => {
    sluice = await startSluice({ env: { SLUICE_RATE_FAILED_SIGN_INS: '1000' } });
  });
  afterAll(() => sluice.stop());

  it.each([
    ['no JSON', '{"type":'],
    ['nothing', ''],
    ['a number', '7'],
    ['null', 'null'],
    ['a batch', '[{"type":"ping"}]'],
    ['no type', '{"id":"1"}'],
    ['an unknown type', '{"type":"start","id":"1","payload":{}}'],
    ['a subscription without an id', `{"type":"subscribe","payload":${JSON.stringify(RUNS)}}`],
    ['a subscription with an empty id', `{"type":"subscribe","id":"","payload":${JSON.stringify(RUNS)}}`],
    ['a subscription without a payload', '{"type":"subscribe","id":"1"}'],
    ['a query that is no text', '{"type":"subscribe","id":"1","payload":{"query":{}}}'],
    ['variables that are no object', '{"type":"subscribe","id":"1","payload":{"query":"{a}","variables":7}}'],
    ['an id that is no text', '{"type":"complete","id":1}'],
    ['a payload that is no object', '{"type":"connection_init","payload":"x"}'],
    ['lists within lists', '['.repeat(60_000)],
    ['bytes', Buffer.from([0, 1, 2, 255])],
  ])('4400 for what is no message: %s', async (_what, data) => {
    const client = await admitted(sluice);
    await client.sendRaw(data);
    expect(await client.closed).toEqual({ code: CloseCode.BadRequest, reason: 'Invalid message received' });
  });

  it('4401 for a subscription before the connection is acknowledged', async () => {
    const client = new RawClient(sluice);
    await client.send({ id: '1', type: 'subscribe', payload: RUNS });
    expect(await client.closed).toEqual({ code: CloseCode.Unauthorized, reason: 'Unauthorized' });
  });

  it('4401 also when a connection_init came just before, and is not decided', async () => {
    const client = new RawClient(sluice);
    await client.init();
    client.socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: RUNS }));
    expect(await client.closed).toMatchObject({ code: CloseCode.Unauthorized });
  });

  it('4403 for a connection_init without a valid token', async () => {
    const client = new RawClient(sluice);
    await client.init('Bearer wrong');
    expect(await client.closed).toEqual({ code: CloseCode.Forbidden, reason: 'Forbidden' });
  });

  it.each([['graphql-ws'], ['chat, superchat'], [undefined]])(
    '4406 for the subprotocol %s',
    async (protocols) => {
      expect(await firstClose(sluice, protocols)).toEqual({
        code: CloseCode.SubprotocolNotAcceptable,
        reason: 'Subprotocol not acceptable',
      });
    },
  );

  it('4408 for no connection_init within 3 s', async () => {
    const client = new RawClient(sluice);
    await once(client.socket, 'open');
    const opened = performance.now();
    expect(await client.closed).toEqual({
      code: CloseCode.ConnectionInitialisationTimeout,
      reason: 'Connection initialisation timeout',
    });
    expect(performance.now() - opened).toBeGreaterThan(2_500);
  });

  it('4409 for an id that is in use', async () => {
    const client = await admitted(sluice);
    await client.send({ id: 'a', type: 'subscribe', payload: RUNS });
    await client.send({ id: 'a', type: 'subscribe', payload: RUNS });
    expect(await client.closed).toEqual({
      code: CloseCode.SubscriberAlreadyExists,
      reason: 'Subscriber for a already exists',
    });
  });

  it('4429 for a second connection_init', async () => {
    const client = await admitted(sluice);
    await client.init();
    expect(await client.closed).toEqual({
      code: CloseCode.TooManyInitialisationRequests,
      reason: 'Too many initialisation requests',
    });
  });

  it('4500 for a fault of ours', async () => {
    await using broken = await startSluice();
    await dropTable(broken, 'api_tokens');
    const client = new RawClient(broken);
    await client.init();
    expect(await client.closed).toEqual({
      code: CloseCode.InternalServerError,
      reason: 'Internal server error',
    });
  });

  // These are the client's to send.
  it.each([CloseCode.BadResponse, CloseCode.InternalClientError, CloseCode.ConnectionAcknowledgementTimeout])(
    '%s from a client frees its place',
    async (code) => {
      await using small = await startSluice({ limits: { socketsPerPrincipal: 1 } });
      const client = await admitted(small);
      await client.send({ id: 'a', type: 'subscribe', payload: RUNS });
      client.socket.close(code);
      expect(await client.closed).toMatchObject({ code });
      const next = await admitted(small);
      next.socket.terminate();
    },
  );
});

describe('a socket', () => {
  it('is opened from pages of allowed origins, and by programs, which send none', async () => {
    await using sluice = await startSluice({ env: { SLUICE_CORS_ORIGINS: PAGE } });
    const page = new RawClient(sluice, { origin: PAGE });
    await page.init();
    expect(await page.next()).toEqual({ type: 'connection_ack' });
    page.socket.terminate();
    (await admitted(sluice)).socket.terminate();
    const origins = ['https://evil.example', `${PAGE}.evil.example`, `${PAGE}:8443`, 'null', sluice.url];
    for (const origin of origins) {
      expect(await refusalOf(sluice.webSocketUrl, { origin })).toEqual({
        status: 403,
        code: 'BAD_REQUEST',
        remedy: expect.stringContaining('SLUICE_CORS_ORIGINS') as string,
      });
    }
  });

  it('is refused in JSON at another address, and in another version of the protocol', async () => {
    await using sluice = await startSluice();
    expect(await refusalOf(`${sluice.webSocketUrl}/elsewhere`)).toMatchObject({
      status: 404,
      code: 'NOT_FOUND',
    });
    expect(await refusalOf(sluice.webSocketUrl.replace('/graphql', '/hooks/1'))).toMatchObject({
      status: 404,
    });
    const headers = { ...bearer(TEST_TOKEN), connection: 'Upgrade', upgrade: 'websocket' };
    const odd = request(`${sluice.url}/graphql`, {
      headers: { ...headers, 'sec-websocket-version': '7' },
    }).end();
    const [response] = (await once(odd, 'response')) as [NodeJS.ReadableStream & { statusCode: number }];
    expect(response.statusCode).toBe(400);
    expect(JSON.parse(await text(response))).toMatchObject({
      errors: [{ extensions: { code: 'BAD_REQUEST' } }],
    });
  });

  it('takes messages of 64 KiB, and closes with 1009 at longer ones', async () => {
    await using sluice = await startSluice();
    const client = await admitted(sluice);
    const ping = (bytes: number) => JSON.stringify({ type: 'ping', payload: { a: 'x'.repeat(bytes - 36) } });
    const longest = ping(64 * 1_024);
    await client.sendRaw(longest);
    expect(await client.next()).toMatchObject({ type: 'pong' });
    await client.sendRaw(longest.padEnd(64 * 1_024 + 1));
    expect(await client.closed).toMatchObject({ code: 1009 });
  });

  it('has 20 subscriptions at most, and room again when one has ended', async () => {
    await using sluice = await startSluice();
    const client = await admitted(sluice);
    for (let n = 0; n < 20; n++) await client.send({ id: `s${n}`, type: 'subscribe', payload: RUNS });
    const message = await client.subscribe(RUNS.query);
    expect(failuresOf(message)).toMatchObject([
      {
        message: 'This socket has 20 subscriptions already.',
        extensions: { code: 'CONFLICT', remedy: 'End one of them first, or open another socket.' },
      },
    ]);
    await client.send({ id: 's7', type: 'complete' });
    await client.send({
      id: 'again',
      type: 'subscribe',
      payload: { query: 'subscription { exportRunChanged(runId: "1") { id } }' },
    });
    expect(failuresOf(await client.next())).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }]);
    client.socket.terminate();
  });

  it('is one of 100 at most of its owner, and room comes back when one closes', async () => {
    await using sluice = await startSluice();
    const open = await Promise.all(Array.from({ length: 100 }, () => admitted(sluice)));
    const another = new RawClient(sluice);
    await another.init();
    expect(await another.closed).toEqual({ code: 1013, reason: 'Too many sockets' });
    open[0]?.socket.close();
    await open[0]?.closed;
    open.push(await admitted(sluice));
    for (const { socket } of open) socket.terminate();
  });

  it('is pinged, and cut when the pong has not come by the next ping', async () => {
    await using sluice = await startSluice({ limits: { pingIntervalMs: 500 } });
    const mute = new RawClient(sluice, { autoPong: false });
    await mute.init();
    const alive = await admitted(sluice);
    expect(await mute.closed).toMatchObject({ code: 1006 });
    await once(alive.socket, 'ping');
    await once(alive.socket, 'ping');
    expect(alive.socket.readyState).toBe(WebSocket.OPEN);
    alive.socket.terminate();
  });

  it.each(['message', 'frame'])('is cut when it pings by a %s and reads no pong', async (kind) => {
    await using sluice = await startSluice({ limits: { unreadBytes: 100_000 } });
    const client = await admitted(sluice);
    client.socket.on('error', () => undefined);
    client.socket.pause();
    const message = JSON.stringify({ type: 'ping', payload: { text: 'x'.repeat(60_000) } });
    const send = () => {
      if (client.socket.readyState !== WebSocket.OPEN) return;
      for (let n = 0; n < (kind === 'frame' ? 2_000 : 10); n++) {
        if (kind === 'frame') client.socket.ping('x'.repeat(125));
        else client.socket.send(message);
      }
      setImmediate(send);
    };
    send();
    expect(await client.closed).toMatchObject({ code: 1006 });
  });

  it('that breaks off in the middle of anything leaves nothing behind', async () => {
    await using sluice = await startSluice({ limits: { socketsPerPrincipal: 5 } });
    for (let round = 0; round < 4; round++) {
      const clients = await Promise.all(Array.from({ length: 5 }, () => admitted(sluice)));
      for (const client of clients) {
        await client.send({ id: 'a', type: 'subscribe', payload: RUNS });
        client.socket.terminate();
      }
      // The server notices a little after the client.
      await Promise.all(clients.map(({ closed }) => closed));
      while (!(await tryToEnter(sluice)));
    }
    const levels = sluice.log.map(({ level }) => Number(level));
    expect(levels.filter((level) => level >= 40)).toEqual([]);
  });
});

/** Whether there was a free place, which is given back. */
async function tryToEnter(sluice: Sluice): Promise<boolean> {
  const client = new RawClient(sluice);
  await client.init();
  const entered = await client.next().then(
    () => true,
    () => false,
  );
  client.socket.close();
  await client.closed;
  return entered;
}
