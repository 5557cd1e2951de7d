import { once } from 'node:events';
import { request, type ClientRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { bearer, startSluice, TEST_TOKEN, type Sluice, type SluiceOptions } from './helpers/sluice.js';

/** Moments stand for half a minute. */
const SHORT: SluiceOptions = {
  limits: { headersMs: 500, bodyMs: 1_000, importWindowMs: 3_000, importBytesPerWindow: 1_000 },
};
const LATE = { code: 'BAD_REQUEST', message: expect.stringContaining('too slowly') as string };

/** What comes back on a connection on which nobody ends a request, until the server closes it. */
async function holdOpen(sluice: Sluice, bytes: string, drip = ''): Promise<string> {
  const { hostname, port } = new URL(sluice.url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  if (bytes !== '') socket.write(bytes);
  const timer = setInterval(() => socket.write(drip), 100);
  let heard = '';
  socket.on('data', (data: Buffer) => (heard += data.toString()));
  // It is written to when it is closed already: that it breaks is what is waited for.
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('close', resolve));
  clearInterval(timer);
  return heard;
}

function begin(sluice: Sluice, path: string, method: string, type: string): ClientRequest {
  const headers = { 'content-type': type, ...bearer(TEST_TOKEN) };
  return request(`${sluice.url}${path}`, { method, headers });
}

async function answerTo(call: ClientRequest) {
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  const body = JSON.parse(await text(response)) as {
    stored?: number;
    errors: { message: string; extensions: { code: string } }[];
  };
  const [failure] = body.errors;
  return {
    status: response.statusCode,
    stored: body.stored,
    code: failure?.extensions.code,
    message: failure?.message,
  };
}

/** Writes a line again and again, `everyMs`, until the request is over. */
function trickle(call: ClientRequest, everyMs: number, line: (n: number) => string): void {
  let n = 0;
  const timer = setInterval(() => call.write(line((n += 1))), everyMs);
  call.on('error', () => undefined);
  call.on('close', () => {
    clearInterval(timer);
  });
  call.on('response', (response: IncomingMessage) => {
    response.on('end', () => {
      clearInterval(timer);
    });
  });
}

describe('a caller who is slow on purpose', () => {
  it.each([
    ['says nothing', ''],
    ['never ends its headers', 'POST /graphql HTTP/1.1\r\nHost: x\r\nX-Slow: '],
  ])('is cut when it %s', async (_what, bytes) => {
    await using sluice = await startSluice(SHORT);
    const answer = await holdOpen(sluice, bytes);
    expect(answer).toMatch(/^HTTP\/1.1 408 /);
    expect(JSON.parse(answer.slice(answer.indexOf('{')))).toMatchObject({
      errors: [{ message: LATE.message, extensions: { code: LATE.code } }],
    });
  });

  it('is cut when it sends a GraphQL request byte by byte', async () => {
    await using sluice = await startSluice(SHORT);
    const call = begin(sluice, '/graphql', 'POST', 'application/json');
    trickle(call, 50, () => ' ');
    expect(await answerTo(call)).toMatchObject({ status: 408, ...LATE });
  });

  it('is cut when it has its answer and goes on sending', async () => {
    await using sluice = await startSluice(SHORT);
    const hold = async (what: string) => {
      const answer = await holdOpen(
        sluice,
        `${what} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{`,
        ' ',
      );
      return [what, answer.slice(0, 'HTTP/1.1 200'.length)];
    };
    const statuses = {
      'POST /graphql': 401,
      'OPTIONS /graphql': 204,
      'PUT /profiles': 401,
      'GET /healthz': 200,
      'POST /nowhere': 404,
    };
    const answers = await Promise.all(Object.keys(statuses).map(hold));
    expect(answers).toEqual(Object.entries(statuses).map(([what, status]) => [what, `HTTP/1.1 ${status}`]));
  });

  it('is cut when it sends an import byte by byte, and its complete lines are kept', async () => {
    await using sluice = await startSluice(SHORT);
    const call = begin(sluice, '/profiles?id=id&segment=All', 'PUT', 'text/csv');
    call.write('id,name\n');
    trickle(call, 100, (n) => `${n},x\n`);
    expect(await answerTo(call)).toMatchObject({ status: 408, ...LATE });
    const stored = async () =>
      (await sluice.query<{ profileCount: number }>('{ profileCount }')).profileCount;
    while ((await stored()) === 0);
    expect(await sluice.query('{ segments { totalCount } }')).toEqual({ segments: { totalCount: 0 } });
  });
});

it('an import that is merely long takes as long as it takes', async () => {
  await using sluice = await startSluice(SHORT);
  const call = begin(sluice, '/profiles?id=id', 'PUT', 'text/csv');
  call.write('id,name\n');
  for (let n = 0; n < 12; n++) {
    call.write(`${n},${'x'.repeat(1_500)}\n`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  call.end();
  expect(await answerTo(call)).toMatchObject({ status: 200, stored: 12 });
});
