import { request } from 'node:http';
import { BOTH_DOORS, failuresOf } from './helpers/both-doors.js';
import { admitted, RawClient } from './helpers/raw-client.js';
import { bearer, startSluice, TEST_TOKEN, type GraphQLAnswer, type Sluice } from './helpers/sluice.js';

const ME = '{ me { id } }';
const RUNS = 'subscription { exportRunChanged { id } }';
const PROXIES = { SLUICE_TRUSTED_PROXIES: 'loopback' };

/** The limits count in the machine's own time: it is so much later until the answer is called. */
function timePasses(ms: number): () => void {
  const { now } = Date;
  Date.now = () => now() + ms;
  return () => {
    Date.now = now;
  };
}

/** As a reverse proxy passes it on, from somebody at `address`. */
async function askFrom(address: string, sluice: Sluice, token: string = TEST_TOKEN): Promise<GraphQLAnswer> {
  const response = await fetch(`${sluice.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-forwarded-for': address, ...bearer(token) },
    body: JSON.stringify({ query: ME }),
  });
  const body = (await response.json()) as GraphQLAnswer['body'];
  return { status: response.status, headers: response.headers, body };
}

function expectRefused({ status, headers, body }: GraphQLAnswer): void {
  expect(status).toBe(429);
  const seconds = Number(headers.get('retry-after'));
  expect(seconds).toBeGreaterThan(0);
  expect(seconds).toBeLessThanOrEqual(60);
  expect(body).toEqual({
    errors: [
      {
        message: expect.stringContaining('oo many') as string,
        extensions: {
          code: 'RATE_LIMITED',
          remedy: `Try again in ${seconds} s.`,
          retryAfterSeconds: seconds,
          requestId: expect.any(String) as string,
        },
      },
    ],
  });
}

describe('whoever asks too often', () => {
  it('is told over HTTP when to come again, and is let in then', async () => {
    await using sluice = await startSluice({ env: { SLUICE_RATE_PER_USER: '3' } });
    for (let n = 0; n < 3; n++) await sluice.query(ME);
    expectRefused(await sluice.request(ME));
    const refusedImport = await fetch(`${sluice.url}/profiles?id=id`, {
      method: 'PUT',
      headers: { 'content-type': 'text/csv', ...bearer(TEST_TOKEN) },
      body: 'id\n1\n',
    });
    expect(refusedImport.status).toBe(429);
    const backToNow = timePasses(60_000);
    try {
      await sluice.query(ME);
    } finally {
      backToNow();
    }
  });

  it('is told over WebSocket, and the socket goes on', async () => {
    await using sluice = await startSluice({ env: { SLUICE_RATE_PER_USER: '2' } });
    const client = await admitted(sluice);
    await client.send({ id: 'a', type: 'subscribe', payload: { query: RUNS } });
    const message = await client.subscribe(RUNS);
    expect(failuresOf(message)).toMatchObject([
      { extensions: { code: 'RATE_LIMITED', retryAfterSeconds: expect.any(Number) as number } },
    ]);
    await client.send({ type: 'ping' });
    expect(await client.next()).toEqual({ type: 'pong' });
    client.socket.terminate();
  });

  it('is told over WebSocket by a close from which clients come again later', async () => {
    await using sluice = await startSluice({ env: { SLUICE_RATE_PER_USER: '1' } });
    const client = await admitted(sluice);
    const another = new RawClient(sluice);
    await another.init();
    expect(await another.closed).toEqual({
      code: 1013,
      reason: expect.stringMatching(/^Too many requests; try again in \d+ s$/) as string,
    });
    client.socket.terminate();
  });

  it('is one person at both doors, whatever the addresses', async () => {
    await using sluice = await startSluice({ env: { ...PROXIES, SLUICE_RATE_PER_USER: '3' } });
    const client = await admitted(sluice);
    expect((await askFrom('192.0.2.1', sluice)).status).toBe(200);
    expect((await askFrom('192.0.2.2', sluice)).status).toBe(200);
    expectRefused(await askFrom('192.0.2.3', sluice));
    client.socket.terminate();
  });

  it('is refused by address before anything else, also an upgrade', async () => {
    await using sluice = await startSluice({ env: { SLUICE_RATE_PER_ADDRESS: '2' } });
    await fetch(`${sluice.url}/nowhere`);
    await sluice.request(ME, {}, { token: 'wrong' });
    expectRefused(await sluice.request(ME));
    const upgrade = request(`${sluice.url}/graphql`, {
      headers: { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' },
    });
    const answer = await new Promise<{ status?: number; retry?: string }>((resolve) => {
      upgrade.on('response', (response) => {
        response.resume();
        resolve({ status: response.statusCode, retry: response.headers['retry-after'] });
      });
      upgrade.end();
    });
    expect(answer).toEqual({ status: 429, retry: expect.stringMatching(/^\d+$/) as string });
    for (const path of ['/healthz', '/readyz'])
      expect((await fetch(`${sluice.url}${path}`)).status).toBe(200);
  });

  it('has one address for IPv4 in IPv6, and one for a network of IPv6', async () => {
    await using sluice = await startSluice({ env: { ...PROXIES, SLUICE_RATE_PER_ADDRESS: '1' } });
    const status = async (address: string) => (await askFrom(address, sluice)).status;
    expect(await status('192.0.2.1')).toBe(200);
    expect(await status('::ffff:192.0.2.1')).toBe(429);
    expect(await status('192.0.2.2')).toBe(200);
    expect(await status('2001:db8:1:2::1')).toBe(200);
    expect(await status('2001:db8:1:2:ffff::99')).toBe(429);
    expect(await status('2001:db8:1:3::1')).toBe(200);
  });

  it('cannot choose an address by a header unless a proxy is trusted', async () => {
    await using sluice = await startSluice({ env: { SLUICE_RATE_PER_ADDRESS: '1' } });
    expect((await askFrom('192.0.2.1', sluice)).status).toBe(200);
    expect((await askFrom('192.0.2.2', sluice)).status).toBe(429);
  });

  it('cannot choose one in front of the one that the proxy has written', async () => {
    await using sluice = await startSluice({ env: { ...PROXIES, SLUICE_RATE_PER_ADDRESS: '1' } });
    expect((await askFrom('198.51.100.1, 192.0.2.1', sluice)).status).toBe(200);
    expect((await askFrom('198.51.100.2, 192.0.2.1', sluice)).status).toBe(429);
  });
});

describe.each(BOTH_DOORS)('whoever fails to sign in too often over %s', (door) => {
  const settings = { env: { ...PROXIES, SLUICE_RATE_FAILED_SIGN_INS: '3' } };

  const fail = async (sluice: Sluice) => {
    if (door === 'HTTP') return (await sluice.request(ME, {}, { token: 'wrong' })).status;
    const client = new RawClient(sluice);
    await client.init('Bearer wrong');
    return (await client.closed).code;
  };
  const [failed, refused] = door === 'HTTP' ? [401, 429] : [4403, 1013];

  it('is told no reason any more from then on, at either door', async () => {
    await using sluice = await startSluice(settings);
    for (let n = 0; n < 3; n++) expect(await fail(sluice)).toBe(failed);
    expect(await fail(sluice)).toBe(refused);
    expectRefused(await sluice.request(ME, {}, { token: 'wrong' }));
    expectRefused(await sluice.request(ME, {}, { token: null }));
    const client = new RawClient(sluice);
    await client.init('Bearer wrong');
    expect(await client.closed).toMatchObject({ code: 1013 });
    expect((await askFrom('192.0.2.1', sluice, 'wrong')).status).toBe(401);
  });

  it('locks nobody out who shares the address and comes with a token that is good and new', async () => {
    await using sluice = await startSluice(settings);
    for (let n = 0; n < 5; n++) await fail(sluice);
    if (door === 'HTTP') await sluice.query(ME);
    else (await admitted(sluice)).socket.terminate();
    // The failures are as many as before.
    expect(await fail(sluice)).toBe(refused);
  });

  it('locks nobody out whose token is known to be good', async () => {
    await using sluice = await startSluice(settings);
    await sluice.query(ME);
    for (let n = 0; n < 4; n++) await fail(sluice);
    expect(await fail(sluice)).toBe(refused);
    await sluice.query(ME);
    const client = await admitted(sluice);
    client.socket.terminate();
  });
});

describe('wrong tokens by the hundred at once', () => {
  const settings = { env: { ...PROXIES, SLUICE_RATE_FAILED_SIGN_INS: '3' } };
  const statusesOf = async (sluice: Sluice, tokens: readonly string[]) => {
    const answers = await Promise.all(tokens.map((token) => sluice.request(ME, {}, { token })));
    return answers.map(({ status }) => status);
  };

  it('are told why no more often than if they came one after the other', async () => {
    await using sluice = await startSluice(settings);
    const statuses = await statusesOf(
      sluice,
      Array.from({ length: 300 }, (_, n) => `wrong-${n}`),
    );
    expect(statuses.filter((status) => status === 401)).toHaveLength(3);
    expect(statuses.filter((status) => status === 429)).toHaveLength(297);
  });

  it('do not keep a good one out that comes at the same time', async () => {
    await using sluice = await startSluice(settings);
    const wrong = Array.from({ length: 100 }, (_, n) => `wrong-${n}`);
    const statuses = await statusesOf(sluice, [TEST_TOKEN, ...wrong]);
    expect(statuses[0]).toBe(200);
  });

  it('are no failures of many good ones that nobody has used yet', async () => {
    await using sluice = await startSluice();
    const statuses = await statusesOf(sluice, Array<string>(50).fill(TEST_TOKEN));
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
  });
});

describe('the settings of the doors', () => {
  it.each([
    ['SLUICE_RATE_PER_USER', '0'],
    ['SLUICE_RATE_PER_ADDRESS', 'many'],
    ['SLUICE_RATE_FAILED_SIGN_INS', '1.5'],
    ['SLUICE_INTROSPECTION', 'yes'],
    ['SLUICE_CORS_ORIGINS', '*'],
    ['SLUICE_CORS_ORIGINS', 'app.example.com'],
    ['SLUICE_CORS_ORIGINS', 'https://app.example.com/'],
    ['SLUICE_CORS_ORIGINS', 'null'],
    ['SLUICE_TRUSTED_PROXIES', 'everybody'],
    ['SLUICE_TRUSTED_PROXIES', '10.0.0.0/99'],
  ])('%s does not take %s', async (setting, value) => {
    await expect(startSluice({ env: { [setting]: value } })).rejects.toThrow(
      `The setting ${setting} cannot be used`,
    );
  });
});
