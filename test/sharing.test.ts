import { randomUUID } from 'node:crypto';
import { connectionCalls, refusalOf } from './helpers/connection-calls.js';
import { emailOf, exportOf, people, runFully, startEngine } from './helpers/engine.js';
import { runToEnd, startRun } from './helpers/flows.js';
import { share } from './helpers/operations.js';
import { setDisabled, setRole, signedInAs, type RoleName } from './helpers/people.js';
import { RawClient } from './helpers/raw-client.js';
import type { Sluice } from './helpers/sluice.js';
import { createTrigger } from './helpers/trigger-calls.js';

const EXPORT = 'id yourAccess connection { displayName }';

interface ExportAnswer {
  readonly id: string;
  readonly yourAccess: string;
  readonly connection: { readonly displayName: string } | null;
}

const exportAs = async (sluice: Sluice, id: string): Promise<ExportAnswer> =>
  (await sluice.query<{ export: ExportAnswer }>(`query ($id: ID!) { export(id: $id) { ${EXPORT} } }`, { id }))
    .export;

const rename = (sluice: Sluice, id: string) =>
  sluice.query('mutation ($id: ID!) { updateExport(id: $id, input: { name: "Renamed" }) { id } }', { id });

/** Of a shared connection, contributors read these as null. */
const FOR_ADMINISTRATORS = {
  host: null,
  apiKeyHint: null,
  consent: null,
  exportUser: null,
  checkedAt: null,
  problem: null,
  updatedBy: null,
};

/** What whoever may not use a connection is refused, each with what is asked for. */
const HIDDEN = {
  ...Object.fromEntries(
    ['host', 'apiKeyHint', 'consentDueAt', 'checkedAt', 'sharing', 'yourAccess', 'profileLimit']
      .concat('createdAt', 'updatedAt')
      .map((field) => [field, field]),
  ),
  consent: 'consent { statement acceptedBy { id } }',
  exportUser: 'exportUser { id }',
  problem: 'problem { code }',
  updatedBy: 'updatedBy { id }',
};

/** Everything that leads to a connection, with the path of the first one in the answer. */
function waysTo(exportId: string, runId: string): [path: string, way: (fields: string) => string][] {
  return [
    ['exports.nodes.0.connection', (fields) => `{ exports { nodes { connection { ${fields} } } } }`],
    ['export.connection', (fields) => `{ export(id: "${exportId}") { connection { ${fields} } } }`],
    [
      'exportRuns.nodes.0.export.connection',
      (fields) => `{ exportRuns { nodes { export { connection { ${fields} } } } } }`,
    ],
    [
      'exportRun.export.connection',
      (fields) => `{ exportRun(id: "${runId}") { export { connection { ${fields} } } } }`,
    ],
    [
      'triggers.nodes.0.export.connection',
      (fields) => `{ triggers { nodes { export { connection { ${fields} } } } } }`,
    ],
    [
      'refreshes.nodes.0.steps.0.run.export.connection',
      (fields) => `{ refreshes { nodes { steps { run { export { connection { ${fields} } } } } } } }`,
    ],
  ];
}

const at = (data: unknown, path: string): unknown =>
  path.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], data);

/** An engine with an export on its connection, which is not shared, and a contributor and a viewer beside it. */
async function withPeople() {
  const engine = await startEngine();
  const exportId = await exportOf(engine, people(3));
  const contributor = await signedInAs(engine.sluice, 'CONTRIBUTOR');
  const viewer = await signedInAs(engine.sluice, 'VIEWER');
  return Object.assign(engine, { exportId, contributor, viewer });
}

describe('a connection', () => {
  it('shows contributors name, kind, state and sharing once it is shared, and nothing of host, key or consent', async () => {
    await using world = await withPeople();
    const { sluice, contributor, connectionId } = world;
    expect(await refusalOf(connectionCalls(contributor).get(connectionId))).toMatchObject({
      code: 'NOT_FOUND',
    });
    await share(sluice, connectionId, true);
    expect(await connectionCalls(contributor).get(connectionId)).toMatchObject({
      displayName: 'Test account',
      kind: 'ACTIVE_CAMPAIGN',
      state: 'CONNECTED',
      sharing: 'ADMINISTRATORS_AND_CONTRIBUTORS',
      yourAccess: 'VIEW',
      ...FOR_ADMINISTRATORS,
    });
    expect(await connectionCalls(sluice).get(connectionId)).toMatchObject({
      yourAccess: 'EDIT',
      host: world.sandbox.host,
      consent: { acceptedBy: { displayName: 'Administrator' } },
    });
  });

  it.each<RoleName>(['CONTRIBUTOR', 'VIEWER'])(
    'tells id, name, kind and state to a %s who may not use it, whatever leads to it, and FORBIDDEN at the path of the rest',
    async (role) => {
      await using world = await withPeople();
      const { sluice, connectionId, exportId } = world;
      const { id: runId } = await runFully(sluice, exportId);
      await createTrigger(sluice, exportId);
      await sluice.query('mutation { runRefresh { id } }');
      const reader = role === 'VIEWER' ? world.viewer : world.contributor;
      for (const [path, way] of waysTo(exportId, runId)) {
        const shown = await reader.request(way('id displayName kind state'));
        expect(shown.body.errors).toBeUndefined();
        expect(at(shown.body.data, path)).toEqual({
          id: connectionId,
          displayName: 'Test account',
          kind: 'ACTIVE_CAMPAIGN',
          state: 'CONNECTED',
        });
        for (const [field, selection] of Object.entries(HIDDEN)) {
          const { body } = await reader.request(way(`displayName ${selection}`));
          const refused = body.errors?.map((error) => ({
            path: error.path?.join('.'),
            code: error.extensions.code,
            remedy: typeof error.extensions.remedy,
          }));
          expect(refused).toContainEqual({
            path: `${path}.${field}`,
            code: 'FORBIDDEN',
            remedy: 'string',
          });
          expect(JSON.stringify(body)).not.toContain(world.sandbox.host);
        }
      }
    },
  );

  it('keeps the rest of the answer when a field of it is FORBIDDEN', async () => {
    await using world = await withPeople();
    const document = (field: string) => `{ exports { nodes { name connection { displayName ${field} } } } }`;
    const nullable = await world.viewer.request(document('host'));
    expect(nullable.body.data).toEqual({
      exports: { nodes: [{ name: 'Test export', connection: { displayName: 'Test account', host: null } }] },
    });
    // The contract promises that it is never null: its connection is null instead.
    const required = await world.viewer.request(document('profileLimit'));
    expect(required.body.data).toEqual({ exports: { nodes: [{ name: 'Test export', connection: null }] } });
    expect(required.body.errors).toHaveLength(1);
  });

  it('is told over WebSocket by the same rule, as soon as its sharing is withdrawn', async () => {
    await using world = await withPeople();
    const { sluice, exportId, connectionId, contributor } = world;
    const { id: runId } = await runFully(sluice, exportId);
    const limitOf = async () => {
      const client = new RawClient(sluice);
      await client.init(`Bearer ${contributor.token}`);
      await client.next();
      const { payload } = await client.subscribe(
        'subscription ($id: ID!) { exportRunChanged(runId: $id) { export { connection { profileLimit } } } }',
        { id: runId },
      );
      client.socket.close();
      return payload;
    };
    await share(sluice, connectionId, true);
    expect(await limitOf()).toMatchObject({
      data: { exportRunChanged: { export: { connection: { profileLimit: 1_000_000 } } } },
    });
    await share(sluice, connectionId, false);
    expect(await limitOf()).toMatchObject({
      data: { exportRunChanged: { export: { connection: null } } },
      errors: [
        {
          path: ['exportRunChanged', 'export', 'connection', 'profileLimit'],
          extensions: { code: 'FORBIDDEN' },
        },
      ],
    });
  });

  it('is told nothing of by the problem of a run: neither its host nor its limit', async () => {
    await using world = await withPeople();
    const { sluice, sandbox, exportId, connectionId, viewer } = world;
    const readProblem = async (id: string) =>
      (
        await viewer.query<{ exportRun: { problem: { code: string; message: string; remedy: string } } }>(
          'query ($id: ID!) { exportRun(id: $id) { problem { code message remedy } } }',
          { id },
        )
      ).exportRun.problem;
    await connectionCalls(sluice).update(connectionId, { profileLimit: 2 });
    const { id: tooMany } = await runToEnd(sluice, exportId);
    const large = await readProblem(tooMany);
    expect(large.code).toBe('TOO_MANY_PROFILES');
    expect(large.message).not.toContain('2');
    await connectionCalls(sluice).update(connectionId, { profileLimit: 1000 });
    sandbox.revokeKey();
    const { id: refused } = await runToEnd(sluice, exportId);
    const { code, message, remedy } = await readProblem(refused);
    expect(code).toBe('WRONG_KEY');
    expect(`${message} ${remedy}`).not.toContain(sandbox.host.split(':')[0]);
  });

  it('is found by its name only by those who may use it', async () => {
    await using world = await withPeople();
    const { sluice, contributor, viewer, connectionId } = world;
    const found = async (reader: Sluice, search: string) =>
      (
        await reader.query<{ exports: { totalCount: number } }>(
          'query ($search: String!) { exports(search: $search) { totalCount } }',
          { search },
        )
      ).exports.totalCount;
    expect(await found(sluice, 'test ACCOUNT')).toBe(1);
    expect(await found(contributor, 'test account')).toBe(0);
    expect(await found(viewer, 'test account')).toBe(0);
    expect(await found(viewer, 'test export')).toBe(1);
    expect(await found(viewer, 'active_campaign')).toBe(1);
    await share(sluice, connectionId, true);
    expect(await found(contributor, 'test account')).toBe(1);
    expect(await found(viewer, 'test account')).toBe(0);
  });

  it('is listed to administrators, to contributors if it is shared, and to viewers never', async () => {
    await using world = await withPeople();
    const { sluice, contributor, viewer, connectionId, sandbox } = world;
    const listed = async (reader: Sluice) => {
      const { connections } = await reader.query<{
        connections: { totalCount: number; nodes: { id: string }[] };
      }>('{ connections { totalCount nodes { id } } }');
      expect(connections.totalCount).toBe(connections.nodes.length);
      return connections.nodes.map(({ id }) => id);
    };
    const { id: other } = await connectionCalls(sluice).create({ host: sandbox.host, apiKey: sandbox.token });
    expect(await listed(sluice)).toEqual([connectionId, other]);
    expect(await listed(contributor)).toEqual([]);
    await share(sluice, connectionId, true);
    expect(await listed(contributor)).toEqual([connectionId]);
    expect(await listed(viewer)).toEqual([]);
  });

  it.each<[string, string, RoleName]>([
    ['connection', 'query ($id: ID!) { connection(id: $id) { id } }', 'CONTRIBUTOR'],
    ['connection', 'query ($id: ID!) { connection(id: $id) { id } }', 'VIEWER'],
    ['destinationLists', 'query ($id: ID!) { destinationLists(connectionId: $id) { id } }', 'CONTRIBUTOR'],
    ['destinationLists', 'query ($id: ID!) { destinationLists(connectionId: $id) { id } }', 'VIEWER'],
    [
      'createExport',
      `mutation ($id: ID!) { createExport(input: {
         name: "", connectionId: $id, listId: "1", segmentIds: [], mapping: { email: "?" } }) { id } }`,
      'CONTRIBUTOR',
    ],
  ])(
    'that is not shared answers %s like one that does not exist, byte for byte (%s, %s)',
    async (_name, document, role) => {
      await using world = await withPeople();
      const { token } = role === 'VIEWER' ? world.viewer : world.contributor;
      const answerTo = async (id: string) => {
        const response = await fetch(`${world.sluice.url}/graphql`, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            authorization: `Bearer ${token}`,
            'x-request-id': 'one-id',
          },
          body: JSON.stringify({ query: document, variables: { id } }),
        });
        const headers = [...response.headers].filter(([name]) => name !== 'date');
        return { status: response.status, headers, body: await response.text() };
      };
      const answer = await answerTo(world.connectionId);
      expect(answer.body).toContain('"NOT_FOUND"');
      expect(await answerTo(randomUUID())).toEqual(answer);
    },
  );

  it('that is not shared cannot be attached either, and reads as if it did not exist', async () => {
    await using world = await withPeople();
    const { sluice, contributor, connectionId, sandbox, exportId } = world;
    const { id: hidden } = await connectionCalls(sluice).create({
      host: sandbox.host,
      apiKey: sandbox.token,
    });
    await share(sluice, connectionId, true);
    const attach = (to: string) =>
      contributor.query('mutation ($id: ID!, $to: ID!) { attachExport(id: $id, connectionId: $to) { id } }', {
        id: exportId,
        to,
      });
    const refusal = await refusalOf(attach(hidden));
    expect(refusal).toMatchObject({ code: 'NOT_FOUND', message: 'There is no such connection.' });
    const { requestId, ...other } = await refusalOf(attach(randomUUID()));
    expect(requestId).not.toBe(refusal.requestId);
    expect({ ...other, requestId: refusal.requestId }).toEqual(refusal);
  });
});

describe('a contributor', () => {
  it('manages every export on a shared connection, also those of others, and falls back to VIEW', async () => {
    await using world = await withPeople();
    const { sluice, contributor, connectionId, exportId } = world;
    expect(await refusalOf(rename(contributor, exportId))).toMatchObject({ code: 'FORBIDDEN' });
    await share(sluice, connectionId, true);
    expect((await exportAs(contributor, exportId)).yourAccess).toBe('EDIT');
    await rename(contributor, exportId);
    expect(await runToEnd(contributor, exportId)).toMatchObject({ state: 'SUCCEEDED' });
    await share(sluice, connectionId, false);
    expect((await exportAs(contributor, exportId)).yourAccess).toBe('VIEW');
    expect(await refusalOf(startRun(contributor, exportId))).toMatchObject({
      code: 'FORBIDDEN',
      remedy: expect.stringContaining('administrator') as string,
    });
  });

  it('may put a detached export on a shared connection, and change nothing else of it', async () => {
    await using world = await withPeople();
    const { sluice, contributor, connectionId, exportId } = world;
    await share(sluice, connectionId, true);
    const detach = 'mutation ($id: ID!) { detachExports(ids: [$id]) { id } }';
    expect(await refusalOf(contributor.query(detach, { id: exportId }))).toMatchObject({ code: 'FORBIDDEN' });
    await sluice.query(detach, { id: exportId });
    expect(await exportAs(contributor, exportId)).toMatchObject({ yourAccess: 'VIEW', connection: null });
    expect(await refusalOf(rename(contributor, exportId))).toMatchObject({ code: 'FORBIDDEN' });
    await contributor.query(
      'mutation ($id: ID!, $to: ID!) { attachExport(id: $id, connectionId: $to) { id } }',
      {
        id: exportId,
        to: connectionId,
      },
    );
    expect((await exportAs(contributor, exportId)).yourAccess).toBe('EDIT');
  });
});

describe('withdrawing the sharing of a connection', () => {
  it('lets a run go on that a contributor started, and exports run as before', async () => {
    await using world = await withPeople();
    const { sluice, contributor, connectionId, exportId, sandbox } = world;
    await share(sluice, connectionId, true);
    const called = sandbox.nextCall((call) => call.kind === 'importer');
    const runId = await startRun(contributor, exportId);
    await called;
    await share(sluice, connectionId, false);
    const { state } = (await stateOf(sluice, runId)).exportRun;
    expect(state).toMatch(/RUNNING|SUCCEEDED/);
    expect(await runFully(sluice, exportId)).toMatchObject({ state: 'SUCCEEDED' });
    expect([...sandbox.contacts()]).toHaveLength(3);
  });
});

const stateOf = (sluice: Sluice, id: string) =>
  sluice.query<{ exportRun: { state: string } }>('query ($id: ID!) { exportRun(id: $id) { state } }', { id });

describe('what people hold', () => {
  const read = (sluice: Sluice, runId: string) =>
    sluice.query<{
      profileAttributes: { name: string; sample: string | null }[];
      exportRun: { rejections: { nodes: { email: string | null; detail: string | null; reason: string }[] } };
    }>(
      `query ($id: ID!) {
        profileAttributes { name sample }
        exportRun(id: $id) { rejections { nodes { reason email detail } } }
      }`,
      { id: runId },
    );

  it('is shown to contributors and administrators: addresses of the rejected, samples of attributes', async () => {
    await using engine = await startEngine();
    const exportId = await exportOf(
      engine,
      `id,email\n1,${emailOf(1)}\n2,nobody@example\n3,${emailOf(1)}\n`,
      {
        mapping: { email: 'email' },
      },
    );
    const { id: runId } = await runFully(engine.sluice, exportId);
    const viewer = await signedInAs(engine.sluice, 'VIEWER');
    const contributor = await signedInAs(engine.sluice, 'CONTRIBUTOR');
    for (const reader of [engine.sluice, contributor]) {
      const { profileAttributes, exportRun } = await read(reader, runId);
      expect(profileAttributes).toEqual([{ name: 'email', sample: expect.stringContaining('@') as string }]);
      expect(exportRun.rejections.nodes.map(({ email }) => email)).toContain('nobody@example');
    }
    const seen = await read(viewer, runId);
    expect(seen.profileAttributes).toEqual([{ name: 'email', sample: null }]);
    expect(seen.exportRun.rejections.nodes).toEqual([
      { reason: 'INVALID_EMAIL', email: null, detail: null },
      { reason: 'DUPLICATE_EMAIL', email: null, detail: null },
    ]);
    expect(JSON.stringify(seen)).not.toContain('@');
  });
});

describe('a value of a profile', () => {
  it.each([
    ['ann@nowhere', true],
    ['mailto:ann%40nowhere', true],
    ['ann\uff20nowhere', true],
    ['+420 777 123 456', true],
    ['Ann Lee', true],
    ['p-1', false],
  ])('that is the id %s of a rejected profile reaches no viewer (hidden: %s)', async (id, hidden) => {
    await using engine = await startEngine();
    const csv = `id,email\n"${id}",nobody@example\n`;
    const exportId = await exportOf(engine, csv, { mapping: { email: 'email' } });
    const { id: runId } = await runFully(engine.sluice, exportId);
    const idsAs = async (reader: Sluice) =>
      (
        await reader.query<{ exportRun: { rejections: { nodes: { profileId: string | null }[] } } }>(
          'query ($id: ID!) { exportRun(id: $id) { rejections { nodes { profileId } } } }',
          { id: runId },
        )
      ).exportRun.rejections.nodes;
    const viewer = await signedInAs(engine.sluice, 'VIEWER');
    const contributor = await signedInAs(engine.sluice, 'CONTRIBUTOR');
    expect(await idsAs(contributor)).toEqual([{ profileId: id }]);
    expect(await idsAs(viewer)).toEqual([{ profileId: hidden ? null : id }]);
  });

  it('in the rule of a segment reaches no viewer', async () => {
    await using engine = await startEngine();
    const rule = { attribute: 'email', operator: 'equals', value: 'ann@example.com' };
    await exportOf(engine, people(1));
    await engine.sluice.query(
      'mutation ($input: CreateSegmentInput!) { createSegment(input: $input) { id } }',
      { input: { name: 'Ann', kind: 'DYNAMIC', rule } },
    );
    const viewer = await signedInAs(engine.sluice, 'VIEWER');
    const contributor = await signedInAs(engine.sluice, 'CONTRIBUTOR');
    const rulesAs = async (reader: Sluice) =>
      (await reader.query<{ segments: { nodes: { rule: unknown }[] } }>('{ segments { nodes { rule } } }'))
        .segments.nodes;
    expect(await rulesAs(contributor)).toContainEqual({ rule });
    expect(await rulesAs(viewer)).toEqual([{ rule: null }, { rule: null }]);
  });
});

describe('an export user who is', () => {
  const become = (sluice: Sluice, id: string) => connectionCalls(sluice).becomeExportUser(id);

  it.each([
    ['disabled', (sluice: Sluice, id: string) => setDisabled(sluice, id, true), 'is disabled'],
    [
      'demoted',
      (sluice: Sluice, id: string) => setRole(sluice, id, 'CONTRIBUTOR'),
      'no administrator any more',
    ],
  ])('%s stops runs, until another administrator becomes export user', async (_what, change, words) => {
    await using engine = await startEngine();
    const { sluice, connectionId } = engine;
    const exportId = await exportOf(engine, people(3));
    const other = await signedInAs(sluice, 'ADMINISTRATOR');
    await become(other, connectionId);
    await change(sluice, other.userId);
    expect(await refusalOf(startRun(sluice, exportId))).toMatchObject({
      code: 'CONNECTION_FAILED',
      message: expect.stringContaining(words) as string,
      remedy: expect.stringContaining('becomeExportUser') as string,
    });
    await become(sluice, connectionId);
    expect(await runFully(sluice, exportId)).toMatchObject({ state: 'SUCCEEDED' });
  });
});
