import { once } from 'node:events';
import { createServer, type AddressInfo, type LookupFunction, type Socket } from 'node:net';
import { inspect } from 'node:util';
import { RetryLaterError } from '../src/destinations/destination.js';
import { createHttp, type HttpOptions } from '../src/destinations/http.js';
import { createLogger } from '../src/logger.js';
import { errorOf, startStub, type Stub, type StubAnswer } from './helpers/stub-destination.js';

const KEY = 'key-that-must-not-leak-5c1f';
const silent = createLogger('silent');

describe('the way out to destinations', () => {
  const open: { close(): Promise<void> }[] = [];

  afterEach(async () => {
    await Promise.all(open.splice(0).map((server) => server.close()));
  });

  async function stubWith(answer: StubAnswer): Promise<Stub> {
    const stub = await startStub(() => answer);
    open.push(stub);
    return stub;
  }

  const get = (host: string, options: Partial<HttpOptions> = {}) =>
    createHttp({ sandboxHosts: [host], logger: silent, ...options })({
      method: 'GET',
      host,
      path: '/api/3/users/me',
      headers: { 'Api-Token': KEY },
    });

  it('brings back status, headers and body as they are', async () => {
    const { host } = await stubWith({ status: 418, headers: { 'X-Odd': 'yes' }, body: '{"not": "parsed"}' });
    const { status, headers, body } = await get(host);
    expect([status, headers.get('x-odd'), body]).toEqual([418, 'yes', '{"not": "parsed"}']);
  });

  it('sends a body byte for byte, over one connection after the other', async () => {
    const ports = new Set<number | undefined>();
    const stub = await stubWith((request, response) => {
      ports.add(request.socket.remotePort);
      response.end('{}');
    });
    const http = createHttp({ sandboxHosts: [stub.host], logger: silent });
    const request = { method: 'POST', host: stub.host, path: '/api/3/x', headers: {} } as const;
    for (const text of ['{"a":"ü"}', '{"b": 1}']) await http({ ...request, body: Buffer.from(text) });
    expect(stub.calls.map(({ body }) => body)).toEqual(['{"a":"ü"}', '{"b": 1}']);
    expect(ports.size).toBe(1);
  });

  it('follows no redirect', async () => {
    const target = await stubWith({ body: 'reached' });
    const { host } = await stubWith({
      status: 307,
      headers: { location: `http://${target.host}/` },
      body: '',
    });
    expect((await get(host)).status).toBe(307);
    expect(target.calls).toEqual([]);
  });

  it('uses no proxy, whatever the environment says', async () => {
    const proxy = await stubWith({ body: 'from the proxy' });
    const { host } = await stubWith({ body: 'from the host' });
    const before = process.env.HTTP_PROXY;
    process.env.HTTP_PROXY = `http://${proxy.host}`;
    try {
      expect((await get(host)).body).toBe('from the host');
    } finally {
      if (before === undefined) delete process.env.HTTP_PROXY;
      else process.env.HTTP_PROXY = before;
    }
    expect(proxy.calls).toEqual([]);
  });

  it('gives up an answer that drips in for ever', async () => {
    const { host } = await stubWith((_, response) => {
      const drip = setInterval(() => response.write('.'), 20);
      response.on('close', () => {
        clearInterval(drip);
      });
    });
    const error = await errorOf(get(host, { timeoutMs: 200 }));
    expect(error).toBeInstanceOf(RetryLaterError);
    expect(error.message).toBe(`${host} could not be reached: it did not answer in time.`);
  });

  it('gives up an answer that is too long', async () => {
    const { host } = await stubWith({ body: 'x'.repeat(2_000) });
    expect(await errorOf(get(host, { maxAnswerBytes: 1_000 }))).toBeInstanceOf(RetryLaterError);
    expect((await get(host, { maxAnswerBytes: 2_000 })).body).toHaveLength(2_000);
  });

  describe('tells whether the request may have been taken', () => {
    const takenOf = async (promise: Promise<unknown>) => {
      const error = await errorOf(promise);
      expect(error).toBeInstanceOf(RetryLaterError);
      return (error as RetryLaterError).taken;
    };
    /** A port that takes connections, and does this with each. */
    async function connections(meet: (socket: Socket) => void) {
      const server = createServer(meet);
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      open.push({
        close: async () => {
          server.close();
          await once(server, 'close');
        },
      });
      return `127.0.0.1:${(server.address() as AddressInfo).port}`;
    }
    const toLoopback: LookupFunction = (_name, options, done) => {
      if (options.all === true) done(null, [{ address: '127.0.0.1', family: 4 }]);
      else done(null, '127.0.0.1', 4);
    };

    it('not, when nobody listens', async () => {
      expect(await takenOf(get('127.0.0.1:1'))).toBe('NO');
    });

    it('not, when the name is not found, not found in time, or leads to a private address', async () => {
      const failing: LookupFunction = (name, _options, done) => {
        done(Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' }), '');
      };
      const mute: LookupFunction = () => undefined;
      for (const lookup of [failing, mute, toLoopback]) {
        const options = { sandboxHosts: [], lookup, timeoutMs: 100 };
        expect(await takenOf(get('acme.api-us1.com', options))).toBe('NO');
      }
    });

    it('not, when the process was stopping before it began', async () => {
      const { host, calls } = await stubWith({ body: '{}' });
      expect(await takenOf(get(host, { stopping: AbortSignal.abort() }))).toBe('NO');
      expect(calls).toEqual([]);
    });

    it('unknown, once there was a connection: broken off, too late, half an answer, no HTTP', async () => {
      const meetings: ((socket: Socket) => void)[] = [
        (socket) => void socket.once('data', () => socket.destroy()),
        (socket) => void socket.destroy(),
        (socket) =>
          void socket.once('data', () =>
            socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 9\r\n\r\n{'),
          ),
        (socket) => void socket.once('data', () => socket.end('NONSENSE\r\n\r\n')),
        (socket) => void socket.resume(),
      ];
      for (const meet of meetings) {
        const host = await connections((socket) => {
          socket.on('error', () => undefined);
          meet(socket);
        });
        expect(await takenOf(get(host, { timeoutMs: 300 }))).toBe('UNKNOWN');
      }
    });

    it('unknown, when a connection that was kept open breaks', async () => {
      let calls = 0;
      const stub = await stubWith((request, response) => {
        calls += 1;
        if (calls === 1) response.end('{}');
        else request.socket.destroy();
      });
      const http = createHttp({ sandboxHosts: [stub.host], logger: silent });
      const request = {
        method: 'POST',
        host: stub.host,
        path: '/',
        headers: {},
        body: Buffer.from('{}'),
      } as const;
      await http(request);
      expect(await takenOf(http(request))).toBe('UNKNOWN');
      expect(calls).toBe(2);
    });
  });

  describe('at hosts that are no sandboxes', () => {
    /** Where a connection would arrive if the guard let it through. */
    async function listener() {
      let connections = 0;
      const server = createServer((socket) => {
        connections += 1;
        socket.destroy();
      });
      server.listen(0);
      await once(server, 'listening');
      open.push({
        close: async () => {
          server.close();
          await once(server, 'close');
        },
      });
      return { port: (server.address() as AddressInfo).port, connections: () => connections };
    }

    // Only the agent for https is guarded, so this also fails if such hosts were spoken to in plain text.
    it('refuses a name that leads to the server itself', async () => {
      const { port, connections } = await listener();
      const error = await errorOf(get(`localhost:${port}`, { sandboxHosts: [] }));
      expect(error).toBeInstanceOf(RetryLaterError);
      expect(error.message).toMatch(/private address/);
      expect(connections()).toBe(0);
    });

    it.each([
      '127.0.0.1',
      '10.1.2.3',
      '172.16.0.1',
      '192.168.0.1',
      '169.254.169.254',
      '100.64.0.1',
      '0.0.0.0',
      '::1',
      '::ffff:127.0.0.1',
      'fd00::1',
      'fe80::1',
    ])('refuses a name that leads to %s at the moment of connecting', async (address) => {
      const family = address.includes(':') ? 6 : 4;
      const looked: string[] = [];
      const lookup: LookupFunction = (name, options, done) => {
        looked.push(name);
        if (options.all === true) done(null, [{ address, family }]);
        else done(null, address, family);
      };
      const error = await errorOf(get('acme.api-us1.com', { sandboxHosts: [], lookup }));
      expect(error.message).toMatch(/private address/);
      expect(looked).toEqual(['acme.api-us1.com']);
    });
  });

  it('has the key in no error and no log', async () => {
    const lines: string[] = [];
    const logger = createLogger('trace', { write: (line) => void lines.push(line) });
    const broken = await stubWith((request) => request.socket.destroy());
    const mute = await stubWith(() => undefined);
    const fine = await stubWith({ body: '{}' });
    await get(fine.host, { logger });
    const errors = [
      await errorOf(get(broken.host, { logger })),
      await errorOf(get(mute.host, { logger, timeoutMs: 100 })),
      await errorOf(get(fine.host, { logger, maxAnswerBytes: 1 })),
      await errorOf(get('localhost:1', { logger, sandboxHosts: [] })),
    ];
    expect(lines).toHaveLength(5);
    const shown = errors.flatMap((error) => [
      inspect(error, { depth: 20, showHidden: true }),
      JSON.stringify(error),
      String(error.stack),
    ]);
    for (const text of [...lines, ...shown]) expect(text).not.toContain(KEY);
  });
});
