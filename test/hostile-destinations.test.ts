import type { ServerResponse } from 'node:http';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import type { StartDeadline } from '../src/destinations/http.js';
import { connectionCalls, refusalOf } from './helpers/connection-calls.js';
import { exportOf, fastTime, finish, people, rejectionsOf } from './helpers/engine.js';
import { connectedConnection, startRun } from './helpers/flows.js';
import { createPatience } from './helpers/patience.js';
import { startMeasured } from './helpers/measured-program.js';
import { startSluice } from './helpers/sluice.js';
import { startStub, type StubAnswer, type StubCall } from './helpers/stub-destination.js';

const MEGABYTE = 1_000_000;
const USER = { user: { id: '1', links: {} } };
const PADDING = Buffer.alloc(MEGABYTE, ' ');

/** A body of 50 MB, made of one piece of memory. */
const huge: StubAnswer = (_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  let left = 50;
  const write = () => {
    while (left > 0 && !response.destroyed) {
      left -= 1;
      if (!response.write(PADDING)) return void response.once('drain', write);
    }
    response.end(JSON.stringify(USER));
  };
  write();
};

const packed =
  (encoding: string, body: Buffer): StubAnswer =>
  (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': encoding }).end(body);
  };

/** Something now and then, for ever. */
const drip =
  (start: (response: ServerResponse) => void, piece: string): StubAnswer =>
  (request, response) => {
    start(response);
    const timer = setInterval(() => request.socket.write(piece), 20);
    request.socket.on('close', () => {
      clearInterval(timer);
    });
  };

/** Bytes as they are, instead of an answer. */
const raw =
  (bytes: string | Buffer): StubAnswer =>
  (request) =>
    void request.socket.end(bytes);

/** A deadline of the machine's time, for answers that never end. */
const afterMs =
  (ms: number): StartDeadline =>
  (breakOff) => {
    const timer = setTimeout(breakOff, ms);
    return () => {
      clearTimeout(timer);
    };
  };

const headers = (count: number): string =>
  Array.from({ length: count }, (_, n) => `X-${n}: ${'y'.repeat(20)}\r\n`).join('');

const NESTED = '{"user":'.repeat(100_000) + '{}' + '}'.repeat(100_000);
const POLLUTION =
  '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},' +
  '"user":{"__proto__":{"polluted":true},"id":"1","links":{"__proto__":"https://x.example"}}}';

/** What a destination might do to the question who it is, and what the connection says then. */
const HOSTILE: [string, StubAnswer, string][] = [
  ['50 MB', huge, 'SENSELESS_ANSWER'],
  ['50 MB, packed by gzip', packed('gzip', gzipSync(Buffer.alloc(50 * MEGABYTE, ' '))), 'SENSELESS_ANSWER'],
  [
    '50 MB, packed by brotli',
    packed('br', brotliCompressSync(Buffer.alloc(50 * MEGABYTE, ' '))),
    'SENSELESS_ANSWER',
  ],
  ['what is no gzip', packed('gzip', Buffer.from('{"user":{}}')), 'SENSELESS_ANSWER'],
  [
    'a byte now and then',
    drip((response) => response.writeHead(200).write('{'), '1\r\n \r\n'),
    'UNREACHABLE',
  ],
  ['a header now and then', drip(() => undefined, 'X'), 'SENSELESS_ANSWER'],
  ['"go on" for ever', drip(() => undefined, 'HTTP/1.1 100 Continue\r\n\r\n'), 'UNREACHABLE'],
  ['nothing', () => undefined, 'UNREACHABLE'],
  [
    'thousands of headers',
    raw(`HTTP/1.1 200 OK\r\n${headers(5_000)}Content-Length: 2\r\n\r\n{}`),
    'SENSELESS_ANSWER',
  ],
  ['one endless header', raw(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\n\r\n{}`), 'SENSELESS_ANSWER'],
  ['what is no HTTP', raw('SSH-2.0-OpenSSH_9.9\r\n'), 'SENSELESS_ANSWER'],
  [
    'random bytes',
    raw(Buffer.from(Array.from({ length: 500 }, (_, n) => (n * 97) % 256))),
    'SENSELESS_ANSWER',
  ],
  [
    'two lengths',
    raw('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}'),
    'SENSELESS_ANSWER',
  ],
  [
    'a chunk of a negative length',
    raw('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n'),
    'SENSELESS_ANSWER',
  ],
  [
    'half of what it announces',
    raw('HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"user":'),
    'SENSELESS_ANSWER',
  ],
  ['truncated JSON', { body: '{"user":{"id":"1"' }, 'NOT_ACTIVE_CAMPAIGN'],
  ['deeply nested JSON', { body: NESTED }, 'CONNECTED'],
  ['lists within lists', { body: '['.repeat(1_000_000) }, 'NOT_ACTIVE_CAMPAIGN'],
  ['a number', { body: '7' }, 'NOT_ACTIVE_CAMPAIGN'],
  ['null', { body: 'null' }, 'NOT_ACTIVE_CAMPAIGN'],
  ['a list', { body: '[]' }, 'NOT_ACTIVE_CAMPAIGN'],
  ['a user that is a text', { body: { user: 'me' } }, 'NOT_ACTIVE_CAMPAIGN'],
  ['a user that is a list', { body: { user: [] } }, 'NOT_ACTIVE_CAMPAIGN'],
  ['links that are a number', { body: { user: { id: 1, links: 7 } } }, 'CONNECTED'],
  [
    'links of the wrong types',
    { body: { user: { links: { a: 7, b: null, c: 'no url', d: {} } } } },
    'CONNECTED',
  ],
  ['keys that reach for prototypes', { body: POLLUTION }, 'CONNECTED'],
  [
    'redirects for ever',
    { status: 302, headers: { location: '/api/3/users/me' }, body: '' },
    'WRONG_ACCOUNT',
  ],
  [
    'a redirect to nowhere',
    { status: 301, headers: { location: 'file:///etc/passwd' }, body: '' },
    'WRONG_ACCOUNT',
  ],
  ['429 with a wait for ever', { status: 429, headers: { 'retry-after': '9'.repeat(40) } }, 'TOO_BUSY'],
  ['an unknown status', { status: 799, body: {} }, 'UNREACHABLE'],
];

/** What a working account answers to everything else. */
const restOfAccount: StubAnswer = { body: { lists: [], account: 'acme' } };

describe('a destination that means harm', () => {
  it.each(HOSTILE)(
    'answers %s to connect: nothing is harmed, and the connection says what is wrong',
    async (_what, answer, code) => {
      const stub = await startStub(({ path }) => (path === '/users/me' ? answer : restOfAccount));
      // Who never ends an answer is given up after a second; of the others each must have an end.
      const startDeadline = afterMs(1_000);
      await using sluice = await startSluice({
        sandbox: stub,
        ...(code === 'UNREACHABLE' && { startDeadline }),
      });
      const calls = connectionCalls(sluice);
      const { id } = await calls.create({ host: stub.host, apiKey: 'key' });
      await calls.giveConsent(id);
      if (code === 'CONNECTED') await calls.connect(id);
      else expect((await refusalOf(calls.connect(id))).code).toBe('CONNECTION_FAILED');
      const { state, problem } = await calls.get(id);
      expect(problem?.code ?? state).toBe(code);
      expect(problem?.remedy ?? 'none').not.toBe('');
      expect(({} as Record<string, unknown>).polluted).toBeUndefined();
      expect(sluice.log.filter(({ level }) => Number(level) >= 50)).toEqual([]);
      await stub.close();
    },
  );

  it.each([
    ['no list', { lists: 'none' }],
    ['lists of nothing', { lists: [null, 7, 'x', []] }],
    ['ids of the wrong types', { lists: [{ id: {}, name: 'x' }] }],
    ['names of the wrong types', { lists: [{ id: '1', name: { toString: 1 } }] }],
  ])('answers %s to the question for lists', async (_what, body) => {
    let isHostile = false;
    const stub = await startStub(({ path }) => ({
      body: path.startsWith('/lists') && isHostile ? body : { ...USER, lists: [] },
    }));
    await using sluice = await startSluice({ sandbox: stub });
    const id = await connectedConnection(sluice, { host: stub.host, token: 'key' });
    isHostile = true;
    const { code, message } = await refusalOf(connectionCalls(sluice).lists(id));
    expect([code, message]).toEqual([
      'CONNECTION_FAILED',
      expect.stringContaining('makes no sense') as string,
    ]);
    await stub.close();
  });

  it('names lists after prototypes, which are names like others', async () => {
    const names = ['__proto__', 'constructor', 'toString'];
    const lists = names.map((name) => ({ id: name, name }));
    const stub = await startStub(({ path }) => ({
      body: { ...USER, lists: path.includes('offset=0') ? lists : [] },
    }));
    await using sluice = await startSluice({ sandbox: stub });
    const id = await connectedConnection(sluice, { host: stub.host, token: 'key' });
    expect(await connectionCalls(sluice).lists(id)).toEqual(lists);
    await stub.close();
  });

  it.each([
    ['50 MB', huge, 'its answer was too long or broke off'],
    ['nothing', () => undefined, 'could not be reached'],
    ['random bytes', raw('\u0000\u0001\u0002'), 'it does not speak HTTP'],
    [
      'keys that reach for prototypes',
      { body: '{"__proto__":{"success":1},"success":{"__proto__":1}}' },
      'makes no sense',
    ],
  ] as [string, StubAnswer, string][])(
    'answers %s to every batch: three tries later its people are unconfirmed, and the rejections say why',
    async (_what, answer, why) => {
      const isSilent = why === 'could not be reached';
      const patience = createPatience();
      const account = ({ path }: StubCall): StubAnswer => {
        if (path.startsWith('/import')) {
          if (isSilent) patience.leaveUnanswered();
          return answer;
        }
        return {
          body: { ...USER, lists: [{ id: '1', name: 'Newsletter' }], list: { id: '1', name: 'Newsletter' } },
        };
      };
      const stub = await startStub(account);
      const { clock, env } = fastTime(500);
      await using sluice = await startSluice({
        sandbox: stub,
        clock,
        env,
        ...(isSilent && { startDeadline: patience.startDeadline }),
      });
      const connectionId = await connectedConnection(sluice, { host: stub.host, token: 'key' });
      const run = await finish(
        sluice,
        await startRun(sluice, await exportOf({ sluice, connectionId }, people(3))),
      );
      expect(run).toMatchObject({ problem: null, progress: { confirmed: 0, unconfirmed: 3 } });
      const details = (await rejectionsOf(sluice, run.id)).map(({ detail }) => detail);
      expect(details).toEqual(Array(3).fill(expect.stringContaining(why)));
      expect(({} as Record<string, unknown>).success).toBeUndefined();
      await stub.close();
    },
  );

  it('fills no memory, however often it is asked', async () => {
    const stub = await startStub(({ path }) => (path === '/users/me' ? huge : restOfAccount));
    await using program = await startMeasured({ SLUICE_SANDBOX_HOSTS: stub.host });
    const calls = connectionCalls(program.sluice);
    const { id } = await calls.create({ host: stub.host, apiKey: 'key' });
    await calls.giveConsent(id);
    const ask = async (times: number) => {
      for (let n = 0; n < times; n++)
        expect((await refusalOf(calls.connect(id))).code).toBe('CONNECTION_FAILED');
      return program.measure();
    };
    const before = await ask(5);
    const after = await ask(20);
    expect((after.rssBytes - before.rssBytes) / MEGABYTE).toBeLessThanOrEqual(50);
    expect((after.heapBytes - before.heapBytes) / MEGABYTE).toBeLessThanOrEqual(5);
    await stub.close();
  });
});
