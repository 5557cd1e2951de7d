import { dropTable, TABLE_IS_GONE } from './helpers/damage.js';
import {
  bearer,
  startSluice,
  TEST_TOKEN,
  type GraphQLAnswer,
  type GraphQLFailure,
  type Sluice,
} from './helpers/sluice.js';

const JSON_BODY = { 'content-type': 'application/json' };
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const failureOf = ({ body }: GraphQLAnswer) => body.errors?.[0];

/** Asks for anything by HTTP as the administrator; the answer must be JSON. */
async function call(sluice: Sluice, path: string, init: RequestInit = {}) {
  const response = await fetch(`${sluice.url}${path}`, {
    ...init,
    headers: { ...bearer(TEST_TOKEN), ...(init.headers as Record<string, string> | undefined) },
  });
  expect(response.headers.get('content-type')).toMatch(/^application\/json/);
  const { errors } = (await response.json()) as { errors?: GraphQLFailure[] };
  return { status: response.status, failure: errors?.[0] };
}

describe('a request that is wrong', () => {
  let sluice: Sluice;
  beforeAll(async () => {
    sluice = await startSluice();
  });
  afterAll(() => sluice.stop());

  it.each([
    ['a body that is no JSON', { headers: JSON_BODY, body: '{"query": ' }, 400],
    ['a body that is no object', { headers: JSON_BODY, body: '"{ me { id } }"' }, 400],
    ['no body at all', { headers: JSON_BODY }, 400],
    ['no query in the body', { headers: JSON_BODY, body: '{"variables": {}}' }, 400],
    [
      'a body that says it is a form',
      { headers: { 'content-type': 'text/plain' }, body: 'query={me{id}}' },
      400,
    ],
    ['an unknown charset', { headers: { 'content-type': 'application/json; charset=x' }, body: '{}' }, 415],
    ['more than 100 kB', { headers: JSON_BODY, body: JSON.stringify({ query: ' '.repeat(100_000) }) }, 413],
  ])('is answered in JSON: %s', async (_what, init, status) => {
    const answer = await call(sluice, '/graphql', { method: 'POST', ...init });
    expect(answer).toEqual({
      status,
      failure: expect.objectContaining({ message: expect.any(String) as string }) as object,
    });
    expect(answer.failure?.extensions.code).toBe('BAD_REQUEST');
    expect(JSON.stringify(answer)).not.toMatch(/stack|node_modules/);
  });

  it('does not get its values quoted back: an API key may be among them', async () => {
    const document = 'mutation ($input: CreateConnectionInput!) { createConnection(input: $input) { id } }';
    const input = { kind: 'ACTIVE_CAMPAIGN', displayName: 'x', host: 'x.api-us1.com', apiKey: 'SECRET; KEY' };
    const wrong = [
      { ...input, bogus: 1 },
      { ...input, apiKey: { value: 'SECRET; KEY' } },
      { ...input, kind: 'SECRET' },
    ];
    const answers = await Promise.all(wrong.map((value) => sluice.request(document, { input: value })));
    answers.push(await sluice.request('mutation { createConnection(input: "SECRET; KEY") { id } }'));
    expect(answers.map((answer) => failureOf(answer)?.extensions.code)).toEqual([
      'BAD_USER_INPUT',
      'BAD_USER_INPUT',
      'BAD_USER_INPUT',
      'GRAPHQL_VALIDATION_FAILED',
    ]);
    expect(JSON.stringify(answers.map(({ body }) => body))).not.toContain('SECRET');
    expect(answers[0]?.body.errors?.[0]?.message).toContain('"bogus" is not defined');
  });

  it.each([
    ['GET', '/'],
    ['POST', '/graphql/deeper'],
    ['GET', '/profiles'],
    ['POST', '/profiles'],
    ['DELETE', '/healthz'],
    ['GET', '/%E0%A4%A'],
  ])('is answered NOT_FOUND, in JSON: %s %s', async (method, path) => {
    const { status, failure } = await call(sluice, path, { method });
    expect([status, failure?.extensions.code]).toEqual([404, 'NOT_FOUND']);
  });

  it.each([
    ['a syntax error', '{ me { ', 'GRAPHQL_PARSE_FAILED'],
    ['an unknown field', '{ me { shoeSize } }', 'GRAPHQL_VALIDATION_FAILED'],
    ['an unknown operation', 'query a { me { id } } query b { me { id } }', 'OPERATION_RESOLUTION_FAILURE'],
  ])("keeps GraphQL's own code: %s", async (_what, document, code) => {
    const answer = await sluice.request(document);
    expect(answer.status).toBe(400);
    expect(failureOf(answer)?.extensions).toEqual({ code, requestId: expect.any(String) as string });
  });

  it('is BAD_USER_INPUT when a variable has the wrong type', async () => {
    const answer = await sluice.request('query ($first: Int) { segments(first: $first) { totalCount } }', {
      first: 'ten',
    });
    expect(failureOf(answer)).toMatchObject({
      message: expect.stringContaining('"$first"') as string,
      extensions: { code: 'BAD_USER_INPUT' },
    });
  });

  it('is BAD_USER_INPUT with field and remedy when a rule of the domain or of an input forbids it', async () => {
    const ruledOut = await sluice.request('{ segments(first: 101) { totalCount } }');
    expect(failureOf(ruledOut)).toMatchObject({
      path: ['segments'],
      extensions: { code: 'BAD_USER_INPUT', field: 'first', remedy: 'Ask for 1 to 100 rows at a time.' },
    });
    const tooLong = await sluice.request(
      'mutation ($input: CreateExportInput!) { createExport(input: $input) { id } }',
      {
        input: {
          name: 'x',
          connectionId: '1',
          listId: '1',
          segmentIds: [],
          mapping: { email: 'e'.repeat(201) },
        },
      },
    );
    expect(failureOf(tooLong)).toMatchObject({
      path: ['createExport'],
      extensions: {
        code: 'BAD_USER_INPUT',
        field: 'mapping.email',
        remedy: expect.stringContaining('200') as string,
      },
    });
  });

  it('is NOT_FOUND for what does not exist', async () => {
    const answer = await sluice.request('{ connection(id: "nowhere") { id } }');
    expect(answer.status).toBe(200);
    expect(failureOf(answer)?.extensions).toEqual({
      code: 'NOT_FOUND',
      remedy: expect.any(String) as string,
      requestId: expect.any(String) as string,
    });
  });
});

describe('a fault of ours', () => {
  const expectMasked = (sluice: Sluice, failure: GraphQLFailure | undefined) => {
    expect(failure).toMatchObject({
      message: 'Something went wrong on our side.',
      extensions: { code: 'INTERNAL_SERVER_ERROR', correlationId: expect.stringMatching(UUID) as string },
    });
    expect(JSON.stringify(failure)).not.toMatch(
      /sqlite|postgres|no such table|does not exist|profile_attributes|api_tokens|stack/i,
    );
    const logged = sluice.log.filter(
      ({ correlationId }) => correlationId === failure?.extensions.correlationId,
    );
    expect(logged).toMatchObject([{ level: 50, stack: expect.stringMatching(TABLE_IS_GONE) as string }]);
  };

  it('is masked in GraphQL, and logged under its correlation id', async () => {
    await using sluice = await startSluice();
    await dropTable(sluice, 'profile_attributes');
    const answer = await sluice.request('{ me { id } profileAttributes { name } }');
    expectMasked(sluice, failureOf(answer));
  });

  it('is masked before GraphQL begins', async () => {
    await using sluice = await startSluice();
    await dropTable(sluice, 'api_tokens');
    const answer = await sluice.request('{ me { id } }');
    expect(answer.status).toBe(500);
    expectMasked(sluice, failureOf(answer));
  });

  it('is masked when an import meets it', async () => {
    await using sluice = await startSluice();
    await dropTable(sluice, 'profile_attributes');
    const { status, failure } = await call(sluice, '/profiles?id=id', {
      method: 'PUT',
      headers: { 'content-type': 'text/csv' },
      body: 'id,name\n1,Ann\n',
    });
    expect(status).toBe(500);
    expectMasked(sluice, failure);
  });
});
