import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { bearer, startSluice, TEST_TOKEN, type GraphQLFailure, type Sluice } from './helpers/sluice.js';

const SECRET_KEY = Buffer.alloc(32, 7).toString('base64');
const PAGE = 'https://app.example.com';
const ASK = new URLSearchParams({ query: '{ me { displayName } }' }).toString();
const CHANGE = new URLSearchParams({ query: 'mutation { removeProfiles(ids: []) }' }).toString();
const PREFLIGHT = { 'apollo-require-preflight': 'true' };

/** Asks for anything by HTTP as the administrator. */
function ask(sluice: Sluice, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = { ...bearer(TEST_TOKEN), ...(init.headers as Record<string, string> | undefined) };
  return fetch(`${sluice.url}${path}`, { ...init, headers });
}

/** The answer's first error; fails if the answer is no JSON. */
async function failureOf(response: Response): Promise<GraphQLFailure | undefined> {
  expect(response.headers.get('content-type')).toMatch(/^application\/json/);
  return ((await response.json()) as { errors?: GraphQLFailure[] }).errors?.[0];
}

/** Sends bytes as they are; answers everything that comes back until the server closes the connection. */
async function speak(sluice: Sluice, bytes: string): Promise<string> {
  const { hostname, port } = new URL(sluice.url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.write(bytes);
  return text(socket);
}

describe('requests over HTTP', () => {
  let sluice: Sluice;
  beforeAll(async () => {
    sluice = await startSluice({ env: { SLUICE_CORS_ORIGINS: PAGE } });
  });
  afterAll(() => sluice.stop());

  it('may be made by GET with a header that no foreign page can set', async () => {
    const response = await ask(sluice, `/graphql?${ASK}`, { headers: PREFLIGHT });
    expect(await response.json()).toEqual({ data: { me: { displayName: 'Administrator' } } });
  });

  it('are refused by GET without that header', async () => {
    const response = await ask(sluice, `/graphql?${ASK}`);
    expect(response.status).toBe(400);
    expect((await failureOf(response))?.extensions.code).toBe('BAD_REQUEST');
  });

  it('change nothing by GET', async () => {
    const response = await ask(sluice, `/graphql?${CHANGE}`, { headers: PREFLIGHT });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST']);
    expect((await failureOf(response))?.extensions.code).toBe('BAD_REQUEST');
  });

  it('are refused by other methods', async () => {
    for (const method of ['PUT', 'DELETE', 'PATCH']) {
      const response = await ask(sluice, '/graphql', { method, headers: PREFLIGHT });
      expect([method, response.status]).toEqual([method, 405]);
      expect((await failureOf(response))?.extensions.code).toBe('BAD_REQUEST');
    }
  });

  it('are refused as forms, which foreign pages can send', async () => {
    const types = ['application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'text/plain'];
    for (const type of types) {
      const body = JSON.stringify({ query: 'mutation { removeProfiles(ids: []) }' });
      const response = await ask(sluice, '/graphql', {
        method: 'POST',
        headers: { 'content-type': type },
        body,
      });
      expect([type, response.status]).toEqual([type, 400]);
      await failureOf(response);
    }
  });

  it('are refused in batches', async () => {
    const body = JSON.stringify([{ query: '{ me { id } }' }, { query: '{ me { id } }' }]);
    const headers = { 'content-type': 'application/json' };
    const response = await ask(sluice, '/graphql', { method: 'POST', headers, body });
    expect(response.status).toBe(400);
    expect((await failureOf(response))?.extensions.code).toBe('BAD_REQUEST');
  });

  it('are not known by the hash of a query', async () => {
    const extensions = { persistedQuery: { version: 1, sha256Hash: 'a'.repeat(64) } };
    const headers = { 'content-type': 'application/json' };
    const response = await ask(sluice, '/graphql', {
      method: 'POST',
      headers,
      body: JSON.stringify({ extensions }),
    });
    expect((await failureOf(response))?.message).not.toContain('PersistedQueryNotFound');
  });

  it('are refused when they are unpacked to more than 100 kB', async () => {
    const { gzipSync } = await import('node:zlib');
    const body = new Uint8Array(
      gzipSync(JSON.stringify({ query: `{ me { id } } #${' '.repeat(10_000_000)}` })),
    );
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
    const response = await ask(sluice, '/graphql', { method: 'POST', headers, body });
    expect(response.status).toBe(413);
    expect(await failureOf(response)).toMatchObject({
      extensions: { code: 'BAD_REQUEST', remedy: expect.stringContaining('100 kB') as string },
    });
  });

  it.each([
    ['nonsense', 'HELLO\r\n\r\n', 400],
    ['another protocol', '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001', 400],
    [
      'two lengths',
      'POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      400,
    ],
    [
      'a length and chunks',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
    ],
    ['no host', 'GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
    ['a header without an end', `GET /healthz HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}`, 431],
    ['thousands of headers', `GET / HTTP/1.1\r\nHost: x\r\n${'X: y\r\n'.repeat(5_000)}\r\n`, 431],
    ['an expectation', 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: miracles\r\n\r\n', 417],
  ])('that are no HTTP are answered in JSON: %s', async (_what, bytes, status) => {
    const answer = await speak(sluice, bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer).toContain('application/json');
    const body = answer.slice(answer.indexOf('{'), answer.lastIndexOf('}') + 1);
    expect(JSON.parse(body)).toMatchObject({ errors: [{ extensions: { code: 'BAD_REQUEST' } }] });
  });

  it('are answered with headers that keep browsers from running or showing what is in them', async () => {
    for (const path of ['/healthz', '/nowhere', '/graphql']) {
      const { headers } = await ask(sluice, path, { method: path === '/graphql' ? 'POST' : 'GET' });
      expect(headers.get('content-security-policy')).toBe("default-src 'none';frame-ancestors 'none'");
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('strict-transport-security')).toContain('max-age');
      expect(headers.get('x-frame-options')).toBe('SAMEORIGIN');
      expect(headers.get('x-powered-by')).toBeNull();
    }
  });

  describe('from pages of other origins', () => {
    const preflight = (origin: string) =>
      fetch(`${sluice.url}/graphql`, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization,content-type',
        },
      });

    it('are allowed when the setting names the origin', async () => {
      const { status, headers } = await preflight(PAGE);
      expect(status).toBe(204);
      expect(headers.get('access-control-allow-origin')).toBe(PAGE);
      expect(headers.get('access-control-allow-headers')).toBe('authorization,content-type');
      expect(headers.get('access-control-allow-credentials')).toBeNull();
      const refused = await fetch(`${sluice.url}/graphql`, { method: 'POST', headers: { origin: PAGE } });
      expect(refused.status).toBe(401);
      expect(refused.headers.get('access-control-allow-origin')).toBe(PAGE);
    });

    it.each([
      'https://evil.example',
      `${PAGE}.evil.example`,
      `${PAGE}:8443`,
      'http://app.example.com',
      'null',
    ])('are not allowed from %s', async (origin) => {
      const { headers } = await preflight(origin);
      expect(headers.get('access-control-allow-origin')).toBeNull();
    });
  });
});

describe('the landing page', () => {
  const visit = (sluice: Sluice) =>
    fetch(`${sluice.url}/graphql`, { headers: { accept: 'text/html,*/*;q=0.8' } });

  it('is there for a browser while developing', async () => {
    await using sluice = await startSluice();
    const response = await visit(sluice);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toMatch(/^text\/html/);
  });

  it('is not there in production', async () => {
    await using sluice = await startSluice({
      env: { NODE_ENV: 'production', SLUICE_SECRET_KEY: SECRET_KEY },
    });
    const response = await visit(sluice);
    expect(response.status).toBe(401);
    expect((await failureOf(response))?.extensions.code).toBe('UNAUTHENTICATED');
    const signedIn = await ask(sluice, '/graphql', { headers: { accept: 'text/html' } });
    expect(signedIn.status).toBe(400);
    await failureOf(signedIn);
  });
});
