import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { buildSchema } from 'graphql';
import { WebSocket } from 'ws';
import { DOOR_LIMITS } from '../src/server/limits.js';
import { callAt, placesOf } from './helpers/input-places.js';
import { longest, longestInside, UNITS } from './helpers/longest.js';
import { bearer, startSluice, type Sluice } from './helpers/sluice.js';

/*
 * The longest text that a limit lets through, of several kinds, to everything that takes text: each is answered within a few
 * times what the smallest request takes, and /healthz is answered meanwhile. A quadratic expression or comparison misses this
 * by orders of magnitude.
 */

const TIMES = 20;
/** A slow algorithm is slow each time, a busy machine is not. */
const TRIES = 3;
/** The rest of the request has room beside it. */
const JSON_BYTES = DOOR_LIMITS.requestBytes - 2_000;
const SOCKET_BYTES = DOOR_LIMITS.messageBytes - 2_000;
/** Node takes 16 kB of headers, with the address. */
const HEADER_BYTES = 12_000;
/** Of one value: what a gzip of some hundred bytes unfolds to. */
const IMPORT_BYTES = 1_000_000;

const compress = promisify(gzip);
const schema = buildSchema(readFileSync('src/schema/schema.graphql', 'utf8'));
const places = placesOf(schema).filter(({ isList }) => !isList);
const texts = [
  ...Object.entries(UNITS).map(([name, unit]) => ({ name, make: (bytes: number) => longest(unit, bytes) })),
  { name: 'spaces inside', make: (bytes: number) => longestInside(' ', bytes) },
  { name: 'line ends inside', make: (bytes: number) => longestInside('\n', bytes) },
];
const isHeaderText = (text: string) => /^[\t\x20-\x7e]*$/.test(text);

describe('the longest input that a limit lets through', () => {
  let sluice: Sluice;
  beforeAll(async () => {
    sluice = await startSluice({
      env: {
        SLUICE_RATE_PER_USER: '1000000',
        SLUICE_RATE_PER_ADDRESS: '1000000',
        SLUICE_RATE_FAILED_SIGN_INS: '1000000',
      },
    });
    await sluice.importCsv('id,email,first_name\n1,ann@example.com,Ann\n', { segment: 'All' });
  });
  afterAll(() => sluice.stop());

  /** Milliseconds until both this and /healthz, asked at the same moment, have answered. */
  async function timeOf(send: () => Promise<unknown>): Promise<number> {
    const from = performance.now();
    const sent = send();
    const health = await fetch(`${sluice.url}/healthz`);
    await Promise.all([sent, health.arrayBuffer()]);
    return performance.now() - from;
  }

  async function medianTimeOf(send: () => Promise<unknown>): Promise<number> {
    const times: number[] = [];
    for (let n = 0; n < 3; n += 1) times.push(await timeOf(send));
    return times.sort((a, b) => a - b)[1] ?? 0;
  }

  /** Sends each of them, and the small one beside it. */
  async function expectQuick(
    small: () => Promise<unknown>,
    sends: readonly { readonly what: string; readonly send: () => Promise<unknown> }[],
  ): Promise<void> {
    const slow: { what: string; ms: number; smallMs: number }[] = [];
    for (const { what, send } of sends) {
      let best = { ms: Infinity, smallMs: 0 };
      for (let n = 0; n < TRIES && best.ms > TIMES * best.smallMs; n += 1) {
        const smallMs = await medianTimeOf(small);
        best = { ms: await timeOf(send), smallMs };
      }
      if (best.ms > TIMES * best.smallMs) slow.push({ what, ...best });
    }
    expect(sends.length).toBeGreaterThan(0);
    expect(slow).toEqual([]);
  }

  const emptyQuery = () => sluice.request('{ __typename }');

  /** The body as text: some cannot be made by JSON.stringify. */
  async function post(body: string): Promise<void> {
    const headers = { 'content-type': 'application/json', ...bearer(sluice.token) };
    const response = await fetch(`${sluice.url}/graphql`, { method: 'POST', headers, body });
    await response.arrayBuffer();
    expect(response.status).not.toBe(413);
  }

  it.each(texts)('is answered at once at every text of the schema: $name', async ({ make }) => {
    const text = make(JSON_BYTES - 1_000);
    expect(places.length).toBeGreaterThan(50);
    await expectQuick(
      emptyQuery,
      places.flatMap((place) =>
        // The second one is as long as a text may be for those who look at it closely.
        [text, text.slice(0, 1_000)].map((value) => {
          const { document, variables } = callAt(schema, place, value);
          const body = JSON.stringify({ query: document, variables });
          return { what: `${place.operation}(${place.path})`, send: () => post(body) };
        }),
      ),
    );
  });

  it('is answered at once at every text of the schema: lists in lists', async () => {
    const depth = Math.floor(JSON_BYTES / 2) - 1_000;
    const nested = `${'['.repeat(depth)}${']'.repeat(depth)}`;
    await expectQuick(
      emptyQuery,
      placesOf(schema).map((place) => {
        const { document, variables } = callAt(schema, place, 'NESTED');
        const body = JSON.stringify({ query: document, variables }).replace('"NESTED"', nested);
        return { what: `${place.operation}(${place.path})`, send: () => post(body) };
      }),
    );
  });

  it.each(texts)('is answered at once as a document, in one, and as its name: $name', async ({ make }) => {
    const text = make(JSON_BYTES - 1_000);
    const literal = make(JSON_BYTES / 2 - 1_000);
    const bodies = {
      document: { query: text },
      literal: { query: `{ exports(search: ${JSON.stringify(literal)}) { totalCount } }` },
      block: { query: `{ exports(search: """${literal.replaceAll('"', "'")}""") { totalCount } }` },
      comment: { query: `{ __typename } #${text.replaceAll('\n', ' ')}` },
      'name of the operation': { query: '{ __typename }', operationName: text },
      'name of a variable': { query: '{ __typename }', variables: { [text]: text.slice(0, 10) } },
      extension: { query: '{ __typename }', extensions: { [text]: 1 } },
    };
    await expectQuick(
      emptyQuery,
      Object.entries(bodies).map(([what, body]) => ({ what, send: () => post(JSON.stringify(body)) })),
    );
  });

  it.each([
    ['a field', (name: string) => `{ ${name} }`],
    ['a field of a page', (name: string) => `{ exports { ${name} } }`],
    ['an argument', (name: string) => `{ exports(${name}: 1) { totalCount } }`],
    ['an enum value', (name: string) => `{ consentStatement(kind: ${name}) { version } }`],
    ['a type', (name: string) => `{ ... on ${name} { __typename } }`],
    ['a fragment', (name: string) => `{ ...${name} }`],
    ['a directive', (name: string) => `{ __typename @${name} }`],
    ['the type of a variable', (name: string) => `query ($v: ${name}) { __typename }`],
    ['a field of an input', (name: string) => `mutation { createUser(input: { ${name}: 1 }) { id } }`],
    ['a hundred fields', (name: string) => `{ ${Array<string>(100).fill(name.slice(0, 900)).join(' ')} }`],
    ['fields in fields', () => `${'{a'.repeat(480)}${'}'.repeat(480)}`],
    ['lists in lists', () => `{ exports(search: ${'['.repeat(480)}${']'.repeat(480)}) { totalCount } }`],
  ])('is answered at once as the name of %s', async (_what, documentOf) => {
    const names = ['x', 'export', 'exportRun', 'Connection', '_'].map((unit) =>
      longest(unit, JSON_BYTES - 2_000),
    );
    await expectQuick(
      emptyQuery,
      [...names, 'exportRunss', 'x'.repeat(30)].map((name) => ({
        what: name.slice(0, 30),
        send: () => post(JSON.stringify({ query: documentOf(name) })),
      })),
    );
  });

  it.each(texts)('is answered at once by the other addresses: $name', async ({ make }) => {
    const text = make(HEADER_BYTES);
    const inAddress = encodeURIComponent(make(HEADER_BYTES / 6)).slice(0, HEADER_BYTES);
    const request = (path: string, init: RequestInit) => async () => {
      const response = await fetch(`${sluice.url}${path}`, init);
      await response.arrayBuffer();
    };
    const csv = { 'content-type': 'text/csv', ...bearer(sluice.token) };
    const put = (query: string) =>
      request(`/profiles?${query}`, { method: 'PUT', headers: csv, body: 'id\n' });
    const hook = (headers: Record<string, string>, body = '') =>
      request('/hooks/00000000-0000-4000-8000-000000000000', { method: 'POST', headers, body });
    const header = text.trim() === '' ? `x${text}x` : text;
    const withHeaders = {
      token: request('/graphql', { method: 'POST', headers: { authorization: header } }),
      'bearer token': request('/graphql', { method: 'POST', headers: { authorization: `Bearer ${header}` } }),
      'token of the figures': request('/metrics', { headers: { authorization: `Bearer ${header}` } }),
      'content type': request('/profiles?id=id', {
        method: 'PUT',
        headers: { ...csv, 'content-type': header },
      }),
      encoding: request('/profiles?id=id', {
        method: 'PUT',
        headers: { ...csv, 'content-encoding': header },
      }),
      'id of a call': hook({ 'webhook-id': header }),
      'moment of a call': hook({ 'webhook-timestamp': header }),
      'signature of a call': hook({ 'webhook-signature': header }),
      'request id': request('/healthz', { headers: { 'x-request-id': header } }),
      'forwarded address': request('/healthz', { headers: { 'x-forwarded-for': header } }),
    };
    const sends = {
      path: request(`/${inAddress}`, {}),
      trigger: request(`/hooks/${inAddress}`, { method: 'POST' }),
      'body of a call': hook({}, make(60_000)),
      'id column': put(`id=${inAddress}`),
      segment: put(`id=id&segment=${inAddress}`),
      mode: put(`id=id&mode=${inAddress}`),
      parameter: put(`id=id&${inAddress}=1`),
      ...(isHeaderText(header) && withHeaders),
    };
    await expectQuick(
      emptyQuery,
      Object.entries(sends).map(([what, send]) => ({ what, send })),
    );
  });

  it.each(texts)('is answered at once in a file, compressed: $name', async ({ make }) => {
    const text = make(IMPORT_BYTES);
    const cell = `"${text.replaceAll('"', '""')}"`;
    const line = (row: unknown) => `${JSON.stringify(row)}\n`;
    const [csv, ndjson] = ['text/csv', 'application/x-ndjson'];
    const files = {
      'a header': [csv, `id,${cell}\n1,2\n`],
      'a bare header': [csv, `id,${text.replaceAll('"', "'")}\n1,2\n`],
      'an id': [csv, `id,a\n${cell},2\n`],
      'a value': [csv, `id,a\n1,${cell}\n`],
      'an address': [csv, `id,email\n1,${cell}\n`],
      'a bare value': [csv, `id,a\n1,${text.replaceAll('"', "'")}\n`],
      'an id of a line': [ndjson, line({ id: text })],
      'a value of a line': [ndjson, line({ id: '1', a: text })],
      'a name of a line': [ndjson, line({ id: '1', [text]: 'a' })],
      'lists in a line': [ndjson, `{"id":"1","a":${'['.repeat(100_000)}${']'.repeat(100_000)}}\n`],
      'no JSON': [ndjson, `${text}\n`],
    };
    const sendOf = async ([type = '', body = '']: string[]) => {
      const compressed = await compress(body);
      const headers = { 'content-type': type, 'content-encoding': 'gzip', ...bearer(sluice.token) };
      return async () => {
        const init = { method: 'PUT', headers, body: compressed };
        await (await fetch(`${sluice.url}/profiles?id=id`, init)).arrayBuffer();
      };
    };
    // The same number of bytes without anything in them that is hard.
    const small = await sendOf([csv, `id,a\n1,"${'ab '.repeat(IMPORT_BYTES / 3)}x"\n`]);
    const sends = Object.entries(files).map(async ([what, file]) => ({ what, send: await sendOf(file) }));
    await expectQuick(small, await Promise.all(sends));
  });

  it.each(texts)('is answered at once by a socket: $name', async ({ make }) => {
    const text = make(SOCKET_BYTES);
    const socketThat = (token: string, message?: object) => async () => {
      const socket = new WebSocket(sluice.webSocketUrl, 'graphql-transport-ws');
      await once(socket, 'open');
      const send = (what: object) => {
        socket.send(JSON.stringify(what));
      };
      const closed = once(socket, 'close');
      socket.on('message', (data: Buffer) => {
        const { type } = JSON.parse(data.toString()) as { type: string };
        if (type === 'connection_ack' && message !== undefined) send(message);
        else socket.close();
      });
      send({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } });
      await closed;
    };
    const subscribe = (payload: object) => socketThat(sluice.token, { type: 'subscribe', id: '1', payload });
    const watch = 'subscription ($id: ID!) { exportRunChanged(runId: $id) { id } }';
    await expectQuick(socketThat(sluice.token), [
      { what: 'a token', send: socketThat(text) },
      { what: 'a document', send: subscribe({ query: text }) },
      { what: 'a variable', send: subscribe({ query: watch, variables: { id: text } }) },
      { what: 'a wrong variable', send: subscribe({ query: watch, variables: { id: [text] } }) },
      { what: 'a name', send: subscribe({ query: watch, operationName: text }) },
      {
        what: 'an id',
        send: socketThat(sluice.token, { type: 'subscribe', id: text, payload: { query: '{ me { id } }' } }),
      },
      { what: 'a type', send: socketThat(sluice.token, { type: text }) },
    ]);
  });
});
