import { connectionCalls, refusalOf } from './helpers/connection-calls.js';
import { imports, people, runFully, startEngine, stoppedTime, type Engine } from './helpers/engine.js';
import { connectedConnection, createExportOf, segmentNamed, startRun } from './helpers/flows.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { startSluice, type Variables } from './helpers/sluice.js';

const EXPORT = `id name list { id name } segments { name } mapping { email firstName lastName phone }
  leavers leaverHoldPercent runAutomations
  connection { id displayName } updatedBy { displayName } createdAt updatedAt lastRun { id }`;
const MAPPING = { email: 'email', firstName: 'first_name', lastName: null, phone: null };

interface ExportAnswer {
  readonly id: string;
  readonly name: string;
  readonly list: { id: string; name: string };
  readonly segments: { name: string }[];
  readonly mapping: Variables;
  readonly leavers: string;
  readonly leaverHoldPercent: number;
  readonly runAutomations: boolean;
  readonly connection: { id: string } | null;
  readonly lastRun: { id: string } | null;
}

/** The export operations, on a connection with the lists 1 and 2 and the segments `All` and `Few`. */
async function openExports(options: Parameters<typeof startEngine>[0] = {}) {
  const lists = [
    { id: 1, name: 'Newsletter' },
    { id: 2, name: 'Offers' },
  ];
  const engine = await startEngine({ ...options, sandbox: { lists, ...options.sandbox } });
  const { sluice, connectionId } = engine;
  await sluice.importCsv(people(5), { segment: 'All' });
  await sluice.importCsv(people(2), { segment: 'Few' });
  const segmentIds = [await segmentNamed(sluice, 'All')];
  const one = async (document: string, variables: Variables) =>
    (await sluice.query<{ one: ExportAnswer }>(document, variables)).one;

  return {
    engine,
    segmentIds,
    create: (input: Variables = {}) =>
      one(`mutation ($input: CreateExportInput!) { one: createExport(input: $input) { ${EXPORT} } }`, {
        input: { name: 'Weekly', connectionId, listId: '1', segmentIds, mapping: MAPPING, ...input },
      }),
    get: (id: string) => one(`query ($id: ID!) { one: export(id: $id) { ${EXPORT} } }`, { id }),
    update: (id: string, input: Variables) =>
      one(
        `mutation ($id: ID!, $input: UpdateExportInput!) { one: updateExport(id: $id, input: $input) { ${EXPORT} } }`,
        { id, input },
      ),
    duplicate: (id: string, name: string) =>
      one(
        `mutation ($id: ID!, $name: String!) { one: duplicateExport(id: $id, name: $name) { ${EXPORT} } }`,
        {
          id,
          name,
        },
      ),
    attach: (id: string, to: string, listId?: string) =>
      one(
        `mutation ($id: ID!, $to: ID!, $listId: ID) {
          one: attachExport(id: $id, connectionId: $to, listId: $listId) { ${EXPORT} } }`,
        { id, to, listId: listId ?? null },
      ),
    detach: async (...ids: string[]) => {
      const { detachExports } = await sluice.query<{ detachExports: { id: string; connection: null }[] }>(
        'mutation ($ids: [ID!]!) { detachExports(ids: $ids) { id connection { id } } }',
        { ids },
      );
      return detachExports;
    },
    remove: async (id: string) => {
      const { removeExport } = await sluice.query<{ removeExport: boolean }>(
        'mutation ($id: ID!) { removeExport(id: $id) }',
        { id },
      );
      return removeExport;
    },
    search: async (search: string) => {
      const { exports } = await sluice.query<{ exports: { nodes: { name: string }[] } }>(
        'query ($search: String) { exports(search: $search) { nodes { name } } }',
        { search },
      );
      return exports.nodes.map(({ name }) => name);
    },
    [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
  };
}

describe('an export', () => {
  it('is made, read, found, changed and duplicated, and nothing is sent by any of it', async () => {
    await using exports = await openExports();
    const made = await exports.create({ name: '  Weekly  ' });
    expect(made).toMatchObject({
      name: 'Weekly',
      list: { id: '1', name: 'Newsletter' },
      segments: [{ name: 'All' }],
      mapping: MAPPING,
      leavers: 'KEEP',
      leaverHoldPercent: 20,
      runAutomations: true,
      connection: { id: exports.engine.connectionId },
      updatedBy: { displayName: 'Administrator' },
      lastRun: null,
    });
    expect(await exports.get(made.id)).toEqual(made);

    const few = await segmentNamed(exports.engine.sluice, 'Few');
    const changed = await exports.update(made.id, {
      name: 'Monthly',
      listId: '2',
      segmentIds: [few, few],
      mapping: { email: 'email', phone: 'phone' },
      leavers: 'UNSUBSCRIBE',
      leaverHoldPercent: 0,
      runAutomations: false,
    });
    expect(changed).toMatchObject({
      id: made.id,
      name: 'Monthly',
      list: { id: '2', name: 'Offers' },
      segments: [{ name: 'Few' }],
      mapping: { email: 'email', firstName: null, lastName: null, phone: 'phone' },
      leavers: 'UNSUBSCRIBE',
      leaverHoldPercent: 0,
      runAutomations: false,
    });
    expect(await exports.update(made.id, {})).toMatchObject({
      ...changed,
      updatedAt: expect.any(String) as string,
    });

    const copy = await exports.duplicate(made.id, 'Copy');
    expect(copy).toMatchObject({
      name: 'Copy',
      list: changed.list,
      segments: changed.segments,
      leavers: 'UNSUBSCRIBE',
      leaverHoldPercent: 0,
      lastRun: null,
    });
    expect(copy.id).not.toBe(made.id);
    expect(await exports.search('MONTH')).toEqual(['Monthly']);
    expect(await exports.search('test account')).toEqual(['Monthly', 'Copy']);
    expect(await exports.search('%')).toEqual([]);
    await exports.update(copy.id, { name: 'Übersicht É' });
    expect(await exports.search('übersicht é')).toEqual(['Übersicht É']);
    expect(imports(exports.engine.sandbox)).toEqual([]);
  });

  it('is refused for what does not exist, with the field and a remedy', async () => {
    await using exports = await openExports();
    const { id } = await exports.create();
    const refusals: [Variables, string, string][] = [
      [{ listId: '9' }, 'listId', 'destinationLists'],
      [{ segmentIds: [...exports.segmentIds, 'nothing'] }, 'segmentIds', 'segments'],
      [{ segmentIds: [] }, 'segmentIds', '1 to 100'],
      [{ mapping: { email: 'e_mail' } }, 'mapping.email', '"email"'],
      [{ mapping: { email: 'email', lastName: 'lastname' } }, 'mapping.lastName', '"last_name"'],
      [{ mapping: { email: 'email', phone: 'something else' } }, 'mapping.phone', 'profileAttributes'],
      [{ name: '  ' }, 'name', '1 to 200'],
      [{ name: '' }, 'name', '1 to 200'],
      [{ name: 'x'.repeat(201) }, 'name', '1 to 200'],
      [{ leaverHoldPercent: -1 }, 'leaverHoldPercent', '0'],
      [{ leaverHoldPercent: 101 }, 'leaverHoldPercent', '100'],
    ];
    for (const [input, field, remedy] of refusals) {
      const expected = { code: 'BAD_USER_INPUT', field, remedy: expect.stringContaining(remedy) as string };
      expect(await refusalOf(exports.create(input))).toMatchObject(expected);
      expect(await refusalOf(exports.update(id, input))).toMatchObject(expected);
    }
    expect(await exports.get(id)).toMatchObject({ name: 'Weekly', list: { id: '1' } });
    for (const attempt of [
      exports.create({ connectionId: 'nothing' }),
      exports.get('nothing'),
      exports.update('nothing', { name: 'x' }),
      exports.duplicate('nothing', 'x'),
      exports.remove('nothing'),
      exports.detach(id, 'nothing'),
      exports.attach('nothing', exports.engine.connectionId),
      exports.attach(id, 'nothing'),
    ]) {
      expect(await refusalOf(attempt)).toMatchObject({ code: 'NOT_FOUND' });
    }
    // All or none: the export that does exist was not detached.
    expect((await exports.get(id)).connection).not.toBeNull();
  });

  it('is refused on a connection without consent or that is not connected', async () => {
    await using exports = await openExports();
    const { sluice, connectionId } = exports.engine;
    const connections = connectionCalls(sluice);
    const { id } = await exports.create();
    await connections.update(connectionId, { apiKey: 'another-key-than-before' });
    for (const attempt of [
      exports.create(),
      exports.update(id, { listId: '2' }),
      exports.attach(id, connectionId),
    ]) {
      expect(await refusalOf(attempt)).toMatchObject({ code: 'CONNECTION_FAILED' });
    }
    await connections.withdrawConsent(connectionId);
    for (const attempt of [
      exports.create(),
      exports.update(id, { listId: '2' }),
      exports.attach(id, connectionId),
    ]) {
      expect(await refusalOf(attempt)).toMatchObject({ code: 'CONSENT_REQUIRED' });
    }
    // What needs no destination can be changed all the same.
    expect(await exports.update(id, { name: 'Renamed' })).toMatchObject({ name: 'Renamed' });
  });

  it('loses no change when two are made at once', async () => {
    await using exports = await openExports();
    const { id } = await exports.create();
    for (let n = 0; n < 5; n += 1) {
      await Promise.all([
        exports.update(id, { name: `Name ${n}`, listId: n % 2 === 0 ? '2' : '1' }),
        exports.update(id, { runAutomations: n % 2 === 0 }),
      ]);
      expect(await exports.get(id)).toMatchObject({ name: `Name ${n}`, runAutomations: n % 2 === 0 });
    }
  });
});

describe('an export that is detached', () => {
  it('keeps its configuration, and its list cannot be changed until it is attached again', async () => {
    await using exports = await openExports();
    const { connectionId } = exports.engine;
    const { id } = await exports.create();
    expect(await exports.detach(id)).toEqual([{ id, connection: null }]);
    expect(await refusalOf(exports.update(id, { listId: '2' }))).toMatchObject({
      code: 'CONFLICT',
      field: 'listId',
    });
    expect(await exports.update(id, { name: 'Resting' })).toMatchObject({
      name: 'Resting',
      connection: null,
    });
    expect(await exports.duplicate(id, 'Also resting')).toMatchObject({ connection: null });
    expect(await exports.attach(id, connectionId, '2')).toMatchObject({
      list: { id: '2', name: 'Offers' },
      connection: { id: connectionId },
    });
  });

  it('goes to another account only with a list of that account', async () => {
    await using other = await startTestSandbox({ account: 'other', lists: [{ id: 7, name: 'Elsewhere' }] });
    await using sandbox = await startTestSandbox();
    await using sluice = await startSluice({ sandbox: { host: `${sandbox.host},${other.host}` } });
    const connectionId = await connectedConnection(sluice, sandbox);
    const otherId = await connectedConnection(sluice, other);
    await sluice.importCsv(people(5), { segment: 'All' });
    const segmentIds = [await segmentNamed(sluice, 'All')];
    const id = await createExportOf(sluice, { connectionId, segmentIds });
    const attach = (listId: string | null) =>
      sluice.query(
        'mutation ($id: ID!, $to: ID!, $listId: ID) { attachExport(id: $id, connectionId: $to, listId: $listId) { id } }',
        { id, to: otherId, listId },
      );
    expect(await refusalOf(attach(null))).toMatchObject({ code: 'BAD_USER_INPUT', field: 'listId' });
    expect(await refusalOf(attach('1'))).toMatchObject({ code: 'BAD_USER_INPUT', field: 'listId' });
    await attach('7');
    expect(await runFully(sluice, id)).toMatchObject({ state: 'SUCCEEDED', progress: { confirmed: 5 } });
    expect([...other.members(7)]).toHaveLength(5);
    expect(sandbox.contactCount).toBe(0);
  });
});

describe('removing an export', () => {
  it('is refused while a run is queued or under way; then its runs go with it', async () => {
    const time = stoppedTime();
    await using exports = await openExports({ sandbox: time.sandbox });
    const { sandbox, sluice }: Engine = exports.engine;
    const { id } = await exports.create();
    const accepted = sandbox.next('accepted');
    const runId = await startRun(sluice, id);
    await accepted;
    expect(await refusalOf(exports.remove(id))).toMatchObject({ code: 'CONFLICT' });
    expect((await exports.get(id)).lastRun).toEqual({ id: runId });
    time.letGo();
    await runFully(sluice, id);

    expect(await exports.remove(id)).toBe(true);
    expect(await refusalOf(exports.get(id))).toMatchObject({ code: 'NOT_FOUND' });
    const run = sluice.query('query ($id: ID!) { exportRun(id: $id) { id } }', { id: runId });
    expect(await refusalOf(run)).toMatchObject({ code: 'NOT_FOUND' });
    const { exportRuns } = await sluice.query<{ exportRuns: { totalCount: number } }>(
      '{ exportRuns { totalCount } }',
    );
    expect(exportRuns.totalCount).toBe(0);
    expect(sandbox.contactCount).toBe(5);
  });
});
