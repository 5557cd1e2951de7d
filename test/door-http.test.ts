import { connectedConnection, createExportOf, runToEnd, segmentNamed } from './helpers/flows.js';
import { startTestSandbox } from './helpers/sandbox.js';
import {
  bearer,
  startSluice,
  type GraphQLAnswer,
  type GraphQLFailure,
  type Sluice,
} from './helpers/sluice.js';

/** Asks for anything by HTTP; the answer must be JSON. */
async function call(sluice: Sluice, path: string, init: RequestInit = {}) {
  const response = await fetch(`${sluice.url}${path}`, init);
  expect(response.headers.get('content-type')).toMatch(/^application\/json/);
  const body = (await response.json()) as { errors?: GraphQLFailure[] };
  return { status: response.status, headers: response.headers, body, failure: body.errors?.[0] };
}

const failureOf = ({ body }: GraphQLAnswer) => body.errors?.[0];

describe('the HTTP door', () => {
  it('tells who is signed in', async () => {
    await using sluice = await startSluice();
    expect(await sluice.query('{ me { displayName role kind disabled createdAt } }')).toEqual({
      me: {
        displayName: 'Administrator',
        role: 'ADMINISTRATOR',
        kind: 'PERSON',
        disabled: false,
        createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
      },
    });
  });

  it('takes a segment all the way to the destination', async () => {
    await using sandbox = await startTestSandbox();
    await using sluice = await startSluice({ sandbox });
    await sluice.importCsv(
      'id,email,first_name,last_name,phone\n1,a@example.com,Ann,Lee,\n2,b@example.com,Bo,,\n',
      {
        segment: 'Everybody',
      },
    );
    const connectionId = await connectedConnection(sluice, sandbox);
    const segmentIds = [await segmentNamed(sluice, 'Everybody')];
    const exportId = await createExportOf(sluice, { connectionId, segmentIds });
    expect(await runToEnd(sluice, exportId)).toMatchObject({
      state: 'SUCCEEDED',
      progress: { members: 2, skipped: 0, toSend: 2, confirmed: 2 },
    });
    expect(
      await sluice.query(
        `query ($id: ID!) {
          export(id: $id) {
            yourAccess
            updatedBy { displayName }
            segments { name memberCount }
            connection { state host exportUser { displayName } consent { acceptedBy { role } } }
            lastRun { state requestedBy { role } export { name } }
            runs { totalCount nodes { rejections { totalCount } } pageInfo { hasNextPage } }
          }
        }`,
        { id: exportId },
      ),
    ).toEqual({
      export: {
        yourAccess: 'EDIT',
        updatedBy: { displayName: 'Administrator' },
        segments: [{ name: 'Everybody', memberCount: 2 }],
        connection: {
          state: 'CONNECTED',
          host: sandbox.host,
          exportUser: { displayName: 'Administrator' },
          consent: { acceptedBy: { role: 'ADMINISTRATOR' } },
        },
        lastRun: {
          state: 'SUCCEEDED',
          requestedBy: { role: 'ADMINISTRATOR' },
          export: { name: 'Test export' },
        },
        runs: { totalCount: 1, nodes: [{ rejections: { totalCount: 0 } }], pageInfo: { hasNextPage: false } },
      },
    });
  });
});

describe('without a valid token', () => {
  let sluice: Sluice;
  beforeAll(async () => {
    // Many attempts from one address: how many there may be is not the matter here.
    sluice = await startSluice({ env: { SLUICE_RATE_FAILED_SIGN_INS: '1000' } });
  });
  afterAll(() => sluice.stop());

  const credentials = [null, 'wrong', 'slu_wrong', ''];

  it.each(credentials)('the HTTP door refuses every operation (token %j)', async (token) => {
    for (const document of [
      '{ __typename }',
      '{ __schema { queryType { name } } }',
      '{ me { id } }',
      '{ profileCount }',
      'mutation { removeProfiles(ids: []) }',
      'not even GraphQL',
    ]) {
      const answer = await sluice.request(document, {}, { token });
      expect(answer.status).toBe(401);
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
      expect(answer.body.data).toBeUndefined();
      expect(failureOf(answer)?.extensions).toEqual({
        code: 'UNAUTHENTICATED',
        remedy: expect.any(String) as string,
        requestId: expect.any(String) as string,
      });
    }
  });

  it.each(credentials)('nothing is imported (token %j)', async (token) => {
    const { status, failure } = await call(sluice, '/profiles?id=id', {
      method: 'PUT',
      headers: { 'content-type': 'text/csv', ...bearer(token) },
      body: 'id\n1\n',
    });
    expect(status).toBe(401);
    expect(failure?.extensions.code).toBe('UNAUTHENTICATED');
    expect(await sluice.query('{ profileCount }')).toEqual({ profileCount: 0 });
  });

  it('the server still says that it is alive and ready', async () => {
    expect(await call(sluice, '/healthz')).toMatchObject({ status: 200, body: { status: 'ok' } });
    expect(await call(sluice, '/readyz')).toMatchObject({ status: 200, body: { status: 'ready' } });
  });
});
