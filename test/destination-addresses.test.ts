import { once } from 'node:events';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import type { RequestListener } from 'node:http';
import { problemOf } from '../src/connections/problems.js';
import { RetryLaterError } from '../src/destinations/destination.js';
import { createHttp, type HttpOptions } from '../src/destinations/http.js';
import { createLogger } from '../src/logger.js';
import { CERTIFICATES, KEY, namesOf, publicHost } from './helpers/public-internet.js';
import { errorOf, startStub } from './helpers/stub-destination.js';

const HOST = 'acme.api-us1.com';
const PUBLIC = '93.184.215.14';
const PUBLIC_6 = '2606:2800:21f:cb07:6820:80da:af6b:8b2c';

function client(options: Partial<HttpOptions>) {
  const http = createHttp({
    sandboxHosts: [],
    logger: createLogger('silent'),
    timeoutMs: 10_000,
    ...options,
  });
  return () => http({ method: 'GET', host: HOST, path: '/api/3/users/me', headers: { 'Api-Token': 'key' } });
}

const httpsServer = (cert: string, answer: RequestListener) => createHttpsServer({ key: KEY, cert }, answer);
const fine: RequestListener = (_request, response) => response.end('{}');

describe('a real host', () => {
  it('is called at a public address, with its certificate checked', async () => {
    await using host = await publicHost(httpsServer(CERTIFICATES.good, fine), CERTIFICATES.good);
    for (const address of [PUBLIC, PUBLIC_6]) {
      const lookup = namesOf([address]);
      expect((await client({ lookup })()).status).toBe(200);
      expect(lookup.asked).toEqual([HOST]);
    }
    expect(host.arrivals()).toBe(2);
  });

  it.each([
    '127.0.0.1',
    '127.255.255.254',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.0.1',
    '169.254.169.254',
    '100.64.0.1',
    '100.127.255.255',
    '0.0.0.0',
    '0.1.2.3',
    '192.0.0.1',
    '192.0.2.1',
    '198.18.0.1',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    '::ffff:127.0.0.1',
    '::ffff:a00:1',
    '::ffff:0:127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b:1::1',
    '2002:7f00:1::',
    '2001::1',
    '2001:db8::1',
    'fc00::1',
    'fd00:ec2::254',
    'fe80::1',
    'fec0::1',
    'ff02::1',
  ])('is not called when its name leads to %s', async (address) => {
    await using host = await publicHost(httpsServer(CERTIFICATES.good, fine), CERTIFICATES.good);
    const error = await errorOf(client({ lookup: namesOf([address]) })());
    expect(error).toBeInstanceOf(RetryLaterError);
    expect(error.message).toMatch(/private address/);
    expect(host.arrivals()).toBe(0);
  });

  it.each([
    ['a public and a private address', [PUBLIC, '10.0.0.1']],
    ['a private and a public address', ['10.0.0.1', PUBLIC]],
    ['a public IPv4 and a private IPv6 address', [PUBLIC, '::1']],
    ['many public addresses and a private one', [PUBLIC, PUBLIC_6, PUBLIC, '169.254.169.254']],
  ])('is not called when its name leads to %s', async (_what, addresses) => {
    await using host = await publicHost(httpsServer(CERTIFICATES.good, fine), CERTIFICATES.good);
    expect((await errorOf(client({ lookup: namesOf(addresses) })())).message).toMatch(/private address/);
    expect(host.arrivals()).toBe(0);
  });

  it('is looked at anew for each connection: a name that changes to a private address is not called', async () => {
    const closing: RequestListener = (_request, response) =>
      response.setHeader('connection', 'close').end('{}');
    await using host = await publicHost(httpsServer(CERTIFICATES.good, closing), CERTIFICATES.good);
    const lookup = namesOf([PUBLIC], ['127.0.0.1'], [PUBLIC], [PUBLIC, '127.0.0.1']);
    const call = client({ lookup });
    expect((await call()).status).toBe(200);
    expect((await errorOf(call())).message).toMatch(/private address/);
    expect((await call()).status).toBe(200);
    expect((await errorOf(call())).message).toMatch(/private address/);
    // One look-up a connection: what was judged is what was called.
    expect([lookup.asked.length, host.arrivals()]).toEqual([4, 2]);
  });

  it('is not followed to a private address by a redirect', async () => {
    const target = await startStub(() => ({ body: 'reached' }));
    const redirect: RequestListener = (_request, response) =>
      response.writeHead(302, { location: `http://${target.host}/` }).end();
    await using host = await publicHost(httpsServer(CERTIFICATES.good, redirect), CERTIFICATES.good);
    expect((await client({ lookup: namesOf([PUBLIC]) })()).status).toBe(302);
    expect(host.arrivals()).toBe(1);
    expect(target.calls).toEqual([]);
    await target.close();
  });
});

describe('a host whose TLS is bad', () => {
  const lookup = namesOf([PUBLIC]);

  it.each([
    ['has expired', CERTIFICATES.expired, CERTIFICATES.expired, 'its certificate has expired'],
    [
      'is for another host',
      CERTIFICATES.forAnotherHost,
      CERTIFICATES.forAnotherHost,
      'its certificate is for another host',
    ],
    ['is signed by itself', CERTIFICATES.good, undefined, 'its certificate is signed by itself'],
  ])('gets no request when its certificate %s', async (_what, certificate, trusted, fault) => {
    const requests: string[] = [];
    const server = httpsServer(certificate, (request, response) => {
      requests.push(request.url ?? '');
      response.end('{}');
    });
    await using host = await publicHost(server, trusted);
    const error = await errorOf(client({ lookup })());
    expect(error).toMatchObject({
      message: `${HOST} could not be reached: ${fault}.`,
      instead: 'BAD_CERTIFICATE',
    });
    expect(problemOf(error).code).toBe('BAD_CERTIFICATE');
    expect(error).toMatchObject({ taken: 'NO' });
    expect([host.arrivals(), requests]).toEqual([1, []]);
  });

  it('gets no request when it speaks plain HTTP', async () => {
    const heard: Buffer[] = [];
    const server = createTcpServer((socket) => {
      socket.on('data', (data) => {
        heard.push(data);
        socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
      });
    });
    await using host = await publicHost(server);
    expect(await errorOf(client({ lookup })())).toMatchObject({ instead: 'NONSENSE', taken: 'NO' });
    expect(Buffer.concat(heard).toString('latin1')).not.toContain('Api-Token');
    expect(host.arrivals()).toBe(1);
  });

  it('gets no request when it only takes old protocols', async () => {
    const server = createHttpsServer(
      { key: KEY, cert: CERTIFICATES.good, maxVersion: 'TLSv1.1', minVersion: 'TLSv1' },
      fine,
    );
    await using host = await publicHost(server, CERTIFICATES.good);
    expect(await errorOf(client({ lookup })())).toMatchObject({ name: 'RetryLaterError', taken: 'NO' });
    expect(host.arrivals()).toBe(1);
  });

  it('is given up when it hangs in the handshake', async () => {
    await using host = await publicHost(createTcpServer());
    const error = await errorOf(client({ lookup, timeoutMs: 300 })());
    expect(error.message).toContain('did not answer in time');
    expect(error).toMatchObject({ taken: 'NO' });
    expect(host.arrivals()).toBe(1);
  });

  it('is given up when it breaks the handshake off', async () => {
    await using host = await publicHost(
      createTcpServer((socket) => void once(socket, 'data').then(() => socket.destroy())),
    );
    expect(await errorOf(client({ lookup })())).toMatchObject({ name: 'RetryLaterError', taken: 'NO' });
    expect(host.arrivals()).toBe(1);
  });
});

describe('a real host that fails after the handshake', () => {
  it('may have taken the request, on a new connection and on one that was kept open', async () => {
    let requests = 0;
    const server = httpsServer(CERTIFICATES.good, (request, response) => {
      requests += 1;
      if (requests === 2) response.end('{}');
      else request.socket.destroy();
    });
    await using host = await publicHost(server, CERTIFICATES.good);
    const call = client({ lookup: namesOf([PUBLIC]) });
    expect(await errorOf(call())).toMatchObject({ taken: 'UNKNOWN' });
    expect((await call()).status).toBe(200);
    expect(await errorOf(call())).toMatchObject({ taken: 'UNKNOWN' });
    expect([requests, host.arrivals()]).toEqual([3, 2]);
  });
});
