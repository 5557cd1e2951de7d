import { once } from 'node:events';
import { WebSocket } from 'ws';
import { dropTable, TABLE_IS_GONE } from './helpers/damage.js';
import { admitted, RawClient, type Message } from './helpers/raw-client.js';
import { startSluice, TEST_TOKEN, type GraphQLFailure, type Sluice } from './helpers/sluice.js';

const failuresOf = ({ payload }: Message): GraphQLFailure[] => {
  const failures = Array.isArray(payload) ? payload : (payload as { errors?: unknown[] }).errors;
  return (failures ?? []) as GraphQLFailure[];
};

describe('the WebSocket door', () => {
  let sluice: Sluice;
  beforeAll(async () => {
    sluice = await startSluice();
  });
  afterAll(() => sluice.stop());

  it.each(['authorization', 'Authorization', 'AUTHORIZATION', 'auThorization'])(
    'reads the token of connectionParams.%s, as the name of a header',
    async (name) => {
      const client = new RawClient(sluice);
      await client.send({ type: 'connection_init', payload: { [name]: `Bearer ${TEST_TOKEN}` } });
      expect(await client.next()).toEqual({ type: 'connection_ack' });
      client.socket.close();
    },
  );

  it.each([
    undefined,
    null,
    '',
    TEST_TOKEN,
    'Bearer wrong',
    'Bearer slu_wrong',
    ['Bearer'],
    { token: TEST_TOKEN },
  ])('closes with 4403 when connection_init carries as authorization: %j', async (authorization) => {
    const client = new RawClient(sluice);
    await client.send({ type: 'connection_init', payload: { authorization } });
    expect(await client.closed).toEqual({ code: 4403, reason: 'Forbidden' });
  });

  it('closes with 4403 when connection_init carries nothing', async () => {
    const client = new RawClient(sluice);
    await client.send({ type: 'connection_init' });
    expect(await client.closed).toEqual({ code: 4403, reason: 'Forbidden' });
  });

  it('closes with 4401 when somebody subscribes before connection_init', async () => {
    const client = new RawClient(sluice);
    await client.send({
      id: '1',
      type: 'subscribe',
      payload: { query: 'subscription { exportRunChanged { id } }' },
    });
    expect(await client.closed).toMatchObject({ code: 4401 });
  });

  it('closes with 4400 what is no message of the protocol', async () => {
    const client = await admitted(sluice);
    client.socket.send('{"type":');
    expect(await client.closed).toMatchObject({ code: 4400 });
  });

  it('is at /graphql and nowhere else', async () => {
    const elsewhere = new WebSocket(`${sluice.webSocketUrl}/elsewhere`, 'graphql-transport-ws');
    const [error] = (await once(elsewhere, 'error')) as [Error];
    expect(error.message).toContain('404');
  });

  it.each([
    ['a query', '{ me { id } }', 'OPERATION_RESOLUTION_FAILURE'],
    ['a mutation', 'mutation { removeProfiles(ids: ["1"]) }', 'OPERATION_RESOLUTION_FAILURE'],
    ['a fragment alone', 'fragment f on User { id }', 'GRAPHQL_VALIDATION_FAILED'],
    ['a syntax error', 'subscription { ', 'GRAPHQL_PARSE_FAILED'],
    ['an unknown field', 'subscription { exportRunChanged { shoeSize } }', 'GRAPHQL_VALIDATION_FAILED'],
  ])('does not run %s', async (_what, query, code) => {
    const client = await admitted(sluice);
    const message = await client.subscribe(query);
    expect(message.type).toBe('error');
    expect(failuresOf(message)[0]?.extensions.code).toBe(code);
    client.socket.close();
  });

  it('refuses variables of the wrong type with BAD_USER_INPUT', async () => {
    const client = await admitted(sluice);
    const query = 'subscription ($runId: ID) { exportRunChanged(runId: $runId) { id } }';
    const message = await client.subscribe(query, { runId: {} });
    expect(failuresOf(message)).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
    client.socket.close();
  });

  it('says NOT_FOUND, with a remedy, for a run that does not exist', async () => {
    const client = await admitted(sluice);
    const message = await client.subscribe('subscription { exportRunChanged(runId: "nowhere") { id } }');
    expect(failuresOf(message)).toMatchObject([
      { path: ['exportRunChanged'], extensions: { code: 'NOT_FOUND', remedy: expect.any(String) as string } },
    ]);
    client.socket.close();
  });
});

describe('a fault of ours over WebSocket', () => {
  it('is masked in a subscription, and logged under its correlation id', async () => {
    await using sluice = await startSluice();
    const client = await admitted(sluice);
    await dropTable(sluice, 'export_runs');
    const message = await client.subscribe('subscription { exportRunChanged(runId: "1") { id } }');
    const [failure] = failuresOf(message);
    expect(failure).toMatchObject({
      message: 'Something went wrong on our side.',
      extensions: { code: 'INTERNAL_SERVER_ERROR', correlationId: expect.any(String) as string },
    });
    expect(JSON.stringify(message)).not.toContain('export_runs');
    const logged = sluice.log.filter(
      ({ correlationId }) => correlationId === failure?.extensions.correlationId,
    );
    expect(logged).toMatchObject([{ stack: expect.stringMatching(TABLE_IS_GONE) as string }]);
    client.socket.close();
  });

  it('closes with 4500 and says nothing more when it meets connection_init', async () => {
    await using sluice = await startSluice();
    await dropTable(sluice, 'api_tokens');
    const client = new RawClient(sluice);
    await client.init();
    expect(await client.closed).toEqual({ code: 4500, reason: 'Internal server error' });
  });
});
