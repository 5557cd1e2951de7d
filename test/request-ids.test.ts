import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import { dropTable } from './helpers/damage.js';
import { emailOf, exportOf, finish, people, runFully, startEngine } from './helpers/engine.js';
import { admitted, RawClient } from './helpers/raw-client.js';
import { bearer, startSluice, type GraphQLFailure, type Sluice } from './helpers/sluice.js';
import { call, createTrigger } from './helpers/trigger-calls.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const GIVEN = { 'x-request-id': 'from-outside:42' };

const linesOf = (sluice: Sluice, requestId: string) =>
  sluice.log.filter((line) => line.requestId === requestId);

describe('a request', () => {
  it('gets an id, which the answer shows', async () => {
    await using sluice = await startSluice();
    const ids = new Set<string>();
    for (const path of ['/healthz', '/readyz', '/nowhere', '/graphql']) {
      const id = (await fetch(`${sluice.url}${path}`)).headers.get('x-request-id') ?? '';
      expect(id).toMatch(UUID);
      ids.add(id);
    }
    expect(ids.size).toBe(4);
  });

  it.each(['from-outside:42', '4bf92f3577b34da6a3ce929d0e0e4736', 'A/b+c=.-_'])(
    'keeps the id that it comes with: %s',
    async (id) => {
      await using sluice = await startSluice();
      const { headers } = await fetch(`${sluice.url}/healthz`, { headers: { 'x-request-id': id } });
      expect(headers.get('x-request-id')).toBe(id);
    },
  );

  it.each(['', 'with space', '"quoted"', '<b>', 'x'.repeat(101), 'ann@example.com', 'a, b'])(
    'gets another for an id that is not well-formed: %j',
    async (id) => {
      await using sluice = await startSluice();
      const { headers } = await fetch(`${sluice.url}/healthz`, { headers: { 'x-request-id': id } });
      expect(headers.get('x-request-id')).toMatch(UUID);
    },
  );

  it.each<[string, string, RequestInit, number]>([
    ['a wrong address', '/nowhere', {}, 404],
    ['no token', '/graphql', { method: 'POST' }, 401],
    ['a body that is no JSON', '/graphql', { method: 'POST', body: '{' }, 400],
    ['no GraphQL', '/graphql', { method: 'POST', body: '{"query": "nonsense"}' }, 400],
    ['a GET without its header', '/graphql?query={me{id}}', {}, 400],
    ['an import without its column', '/profiles', { method: 'PUT' }, 400],
    ['a trigger that is not there', '/hooks/nothing', { method: 'POST' }, 401],
    ['a trigger with too much', '/hooks/nothing', { method: 'POST', body: 'x'.repeat(70_000) }, 413],
  ])('shows its id in the error too: %s', async (what, path, init, status) => {
    await using sluice = await startSluice();
    const signedIn = what === 'no token' ? {} : bearer(sluice.token);
    const type = init.method === undefined ? {} : { 'content-type': 'application/json' };
    const headers = { ...type, ...signedIn, ...GIVEN };
    const response = await fetch(`${sluice.url}${path}`, { ...init, headers });
    expect(response.status).toBe(status);
    expect(response.headers.get('x-request-id')).toBe('from-outside:42');
    const { errors } = (await response.json()) as { errors: GraphQLFailure[] };
    expect(errors.map(({ extensions }) => extensions.requestId)).toEqual(['from-outside:42']);
  });

  it('shows its id in the errors of GraphQL, of requests side by side each its own', async () => {
    await using sluice = await startSluice();
    const ids = Array.from({ length: 20 }, (_, n) => `side-by-side-${n}`);
    const seen = await Promise.all(
      ids.map(async (id) => {
        const document = '{ me { id } connection(id: "x") { id } }';
        const { body } = await sluice.request(document, {}, { headers: { 'x-request-id': id } });
        return body.errors?.map(({ extensions }) => extensions.requestId);
      }),
    );
    expect(seen).toEqual(ids.map((id) => [id]));
  });

  it('has it in every line of the log that is about it', async () => {
    await using sluice = await startSluice({ env: { LOG_LEVEL: 'debug' } });
    await dropTable(sluice, 'profile_attributes');
    const { body } = await sluice.request('{ profileAttributes { name } }', {}, { headers: GIVEN });
    const correlationId = body.errors?.[0]?.extensions.correlationId;
    expect(linesOf(sluice, 'from-outside:42')).toMatchObject([
      { level: 50, msg: 'internal error', correlationId },
      { level: 20, msg: 'request answered', method: 'POST', path: '/graphql', status: 200 },
    ]);
  });

  it('has it in the lines of an import', async () => {
    await using sluice = await startSluice();
    await fetch(`${sluice.url}/profiles?id=id`, {
      method: 'PUT',
      headers: { ...bearer(sluice.token), ...GIVEN, 'content-type': 'text/csv' },
      body: 'id,email\n1,a@example.com\n',
    });
    expect(linesOf(sluice, 'from-outside:42')).toMatchObject([{ msg: 'import finished', stored: 1 }]);
  });

  it('whose sign-in cannot be looked at has it in the log as well', async () => {
    await using sluice = await startSluice();
    await dropTable(sluice, 'audit_events');
    await sluice.request('{ me { id } }', {}, { token: 'slu_wrong', headers: GIVEN });
    expect(linesOf(sluice, 'from-outside:42')).toMatchObject([
      { level: 50, msg: 'a refused sign-in was not written down' },
    ]);
  });
});

describe('an operation over WebSocket', () => {
  it('shows an id of its own in its errors, or the one that it came with', async () => {
    await using sluice = await startSluice();
    const client = await admitted(sluice);
    const query = 'subscription { exportRunChanged(runId: "nowhere") { id } }';
    const ask = async (id: string, extensions?: Record<string, unknown>) => {
      await client.send({ id, type: 'subscribe', payload: { query, extensions } });
      const { payload } = await client.next();
      expect(await client.next()).toMatchObject({ type: 'complete', id });
      return (payload as { errors: GraphQLFailure[] }).errors.map(({ extensions: told }) => told.requestId);
    };
    const [first] = await ask('1');
    const [second] = await ask('2');
    expect([first, second]).toEqual([expect.stringMatching(UUID), expect.stringMatching(UUID)]);
    expect(first).not.toBe(second);
    expect(await ask('3', { requestId: 'from-a-page' })).toEqual(['from-a-page']);
    expect(await ask('4', { requestId: 'not well-formed' })).toEqual([expect.stringMatching(UUID)]);
    // Refused before it begins, it is told in another kind of message.
    const payload = { query: 'subscription { nothing }', extensions: { requestId: 'refused-at-once' } };
    await client.send({ id: '5', type: 'subscribe', payload });
    expect(await client.next()).toMatchObject({
      type: 'error',
      payload: [{ extensions: { requestId: 'refused-at-once' } }],
    });
    client.socket.close();
  });

  it('shows the id of a refused opening, and of one that is accepted', async () => {
    await using sluice = await startSluice();
    const foreign = { headers: GIVEN, origin: 'https://elsewhere.example' };
    const refused = new WebSocket(sluice.webSocketUrl, 'graphql-transport-ws', foreign);
    refused.on('error', () => undefined);
    const [, refusal] = (await once(refused, 'unexpected-response')) as [unknown, IncomingMessage];
    expect(refusal.headers['x-request-id']).toBe('from-outside:42');
    const accepted = new RawClient(sluice, { headers: GIVEN });
    const [opening] = (await once(accepted.socket, 'upgrade')) as [IncomingMessage];
    expect(opening.headers['x-request-id']).toBe('from-outside:42');
    accepted.socket.close();
  });
});

describe('the lines of a run', () => {
  it('begin with the request that asked for it, and all carry its id', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, people(600));
    sandbox.addFault({ on: 'importer', nth: 2, action: { type: 'answer', status: 500 } });
    sandbox.addFault({ on: 'importer', nth: 1, action: { type: 'batch', status: 'failed' } });
    sandbox.refuseAddresses({ emails: [emailOf(5)], how: 'later' });
    const { body } = await sluice.request(
      'mutation ($id: ID!) { runExport(exportId: $id) { id } }',
      { id: exportId },
      { headers: GIVEN },
    );
    const { id: runId } = body.data?.runExport as { id: string };
    await finish(sluice, runId);
    expect(linesOf(sluice, 'from-outside:42')).toMatchObject([
      { msg: 'run queued', runId, exportId, trigger: 'ON_DEMAND' },
    ]);
    const lines = sluice.log.filter((line) => line.runId === runId);
    expect(lines.map(({ msg }) => msg)).toEqual(
      expect.arrayContaining(['run queued', 'run taken up', 'batch delayed', 'batch lost', 'run ended']),
    );
    expect(lines.at(-1)).toMatchObject({
      msg: 'run ended',
      state: 'SUCCEEDED_WITH_WARNINGS',
      attempt: 1,
      confirmed: 599,
      rejected: 1,
    });
    // Whatever was logged of the engine's work was about this run.
    const others = sluice.log.filter(
      ({ msg, runId: of }) => /\b(run|batch)\b/.test(String(msg)) && of !== runId,
    );
    expect(others).toEqual([]);
    expect(JSON.stringify(lines)).not.toContain('@');
  });

  it('tell who joined a run, and who asked for its end', async () => {
    await using engine = await startEngine({ sandbox: { now: () => 0, quotas: false } });
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, people(3));
    const isUnderWay = new Promise((resolve) => sandbox.on('accepted', resolve));
    const ask = async (requestId: string) => {
      const { body } = await sluice.request(
        'mutation ($id: ID!) { runExport(exportId: $id) { id } }',
        { id: exportId },
        { headers: { 'x-request-id': requestId } },
      );
      return (body.data?.runExport as { id: string }).id;
    };
    await ask('first');
    await isUnderWay;
    const second = await ask('second');
    expect(await ask('third')).toBe(second);
    expect(linesOf(sluice, 'third')).toMatchObject([{ msg: 'run joined', runId: second }]);
    await sluice.request(
      'mutation ($id: ID!) { cancelExportRun(id: $id) { id } }',
      { id: second },
      { headers: { 'x-request-id': 'fourth' } },
    );
    expect(linesOf(sluice, 'fourth')).toMatchObject([
      { msg: 'run is to end', runId: second, state: 'CANCELED' },
    ]);
  });

  it('begin with the call of a trigger that asked for it', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    const exportId = await exportOf(engine, people(3));
    const trigger = await createTrigger(sluice, exportId);
    const { headers, body } = await call(sluice, trigger, 'call-1');
    const requestId = headers.get('x-request-id') ?? '';
    expect(linesOf(sluice, requestId)).toMatchObject([
      { msg: 'run queued', runId: body.runId, exportId, trigger: 'WEBHOOK' },
    ]);
    await runFully(sluice, exportId);
  });
});
