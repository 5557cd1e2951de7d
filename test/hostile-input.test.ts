import { readFileSync } from 'node:fs';
import { buildSchema } from 'graphql';
import { refusalOf } from './helpers/connection-calls.js';
import { exportOf, runFully, startEngine, type Engine } from './helpers/engine.js';
import { createExportOf, segmentNamed } from './helpers/flows.js';
import { callAt, placesOf } from './helpers/input-places.js';
import { SAMPLES, makeWorlds, type World } from './helpers/operations.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { startSluice, type Sluice, type Variables } from './helpers/sluice.js';

/** What people write by accident or in bad faith, and what has to come through as it is. */
const HOSTILE: Record<string, string> = {
  quotes: `"O'Neill" \`said\` «no»`,
  'a backslash': 'C:\\new\\table',
  SQL: `Robert'); DROP TABLE "profiles";--`,
  HTML: '<script>alert(1)</script>&amp;',
  'a formula': '=HYPERLINK("http://example.com")',
  'a template': '${7*7} {{7*7}} %FIRSTNAME%',
  'zero-width characters inside': 'zero\u200bwidth\u200djoin\ufefford',
  'zero-width characters around': '\u200b\ufeffAnn\u200b\ufeff',
  'a space that does not break, around': '\u00a0Ann\u00a0',
  'right-to-left': '\u202eאבג\u202c \u200fمرحبا',
  emoji: '👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪',
  'combining marks': 'Z͑ͫ̓ͪ̂a̴̵l̴g̵o',
  'the same letter in two ways': 'é e\u0301',
  'no character of ASCII': '漢字仮名',
  'a line separator': 'one\u2028two',
  JSON: '{"a":[null]}',
  null: 'null',
  'a number': '0012345678901234567890',
};

const cases = Object.entries(HOSTILE);

describe('as a name', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await startEngine();
    await engine.sluice.importCsv('id,email\n1,ann@example.com\n', { segment: 'All' });
  });
  afterAll(() => engine[Symbol.asyncDispose]());

  const nameOf = async (sluice: Sluice, document: string, variables: Variables): Promise<string> => {
    const { made } = await sluice.query<{ made: { name: string } }>(document, variables);
    return made.name;
  };

  it.each(cases)(
    '%s comes back as it went in: segment, export, connection, user, token',
    async (_what, name) => {
      const { sluice, connectionId, sandbox } = engine;
      const segment = await nameOf(
        sluice,
        'mutation ($name: String!) { made: createSegment(input: { name: $name }) { name } }',
        { name },
      );
      const exportId = await createExportOf(sluice, {
        name,
        connectionId,
        segmentIds: [await segmentNamed(sluice, name)],
        mapping: { email: 'email' },
      });
      const { export: made } = await sluice.query<{ export: { name: string; segments: { name: string }[] } }>(
        'query ($id: ID!) { export(id: $id) { name segments { name } } }',
        { id: exportId },
      );
      const connection = await nameOf(
        sluice,
        'mutation ($input: CreateConnectionInput!) { made: createConnection(input: $input) { name: displayName } }',
        {
          input: {
            kind: 'ACTIVE_CAMPAIGN',
            displayName: name,
            host: sandbox.host,
            apiKey: 'some-key-of-theirs',
          },
        },
      );
      const user = await nameOf(
        sluice,
        'mutation ($name: String!) { made: createUser(input: { displayName: $name, role: VIEWER }) { name: displayName } }',
        { name },
      );
      expect([segment, made.name, made.segments[0]?.name, connection, user]).toEqual(Array(5).fill(name));
      const { exports: found } = await sluice.query<{ exports: { nodes: { name: string }[] } }>(
        'query ($search: String) { exports(search: $search, first: 100) { nodes { name } } }',
        { search: name },
      );
      expect(found.nodes.map((node) => node.name)).toContain(name);
    },
  );

  it.each([
    ['NUL', 'a\0b'],
    ['a bell', 'a\u0007b'],
    ['a line break inside', 'a\nb'],
    ['a C1 control character', 'a\u0085b'],
    ['half a character', 'a\ud800b'],
    ['nothing', ''],
    ['spaces alone', '   '],
    ['nothing to be seen', '\u200b\u2060\u202e'],
    ['more than 200 characters', '👩'.repeat(201)],
  ])('%s is refused, with field and remedy', async (_what, name) => {
    const { sluice, connectionId, sandbox } = engine;
    const documents: [string, string, Variables][] = [
      ['mutation ($name: String!) { createSegment(input: { name: $name }) { id } }', 'name', { name }],
      [
        'mutation ($name: String!) { createUser(input: { displayName: $name, role: VIEWER }) { id } }',
        'displayName',
        { name },
      ],
      [
        'mutation ($input: CreateConnectionInput!) { createConnection(input: $input) { id } }',
        'displayName',
        { input: { kind: 'ACTIVE_CAMPAIGN', displayName: name, host: sandbox.host, apiKey: 'some-key' } },
      ],
      [
        'mutation ($input: CreateExportInput!) { createExport(input: $input) { id } }',
        'name',
        {
          input: {
            name,
            connectionId,
            listId: '1',
            segmentIds: [await segmentNamed(sluice, 'All')],
            mapping: { email: 'email' },
          },
        },
      ],
    ];
    for (const [document, field, variables] of documents) {
      expect(await refusalOf(sluice.query(document, variables))).toMatchObject({
        code: 'BAD_USER_INPUT',
        field,
        remedy: expect.stringMatching(/\w+/) as string,
      });
    }
  });

  it('200 characters are enough, however many bytes they have', async () => {
    const name = '👩'.repeat(200);
    const { createSegment } = await engine.sluice.query<{ createSegment: { name: string } }>(
      'mutation ($name: String!) { createSegment(input: { name: $name }) { name } }',
      { name },
    );
    expect(createSegment.name).toBe(name);
  });
});

describe('as a value of an attribute', () => {
  it('arrives at the destination as it was imported, by CSV and NDJSON', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    const values = Object.values(HOSTILE);
    const quoted = (value: string) => `"${value.replaceAll('"', '""')}"`;
    const csv = values.map((value, n) => `${n},p${n}@example.com,${quoted(value)},${quoted(value)}`);
    const exportId = await exportOf(engine, ['id,email,first_name,last_name', ...csv, ''].join('\n'), {
      mapping: { email: 'email', firstName: 'first_name', lastName: 'last_name' },
    });
    const run = await runFully(sluice, exportId);
    expect(run).toMatchObject({ state: 'SUCCEEDED', progress: { confirmed: values.length } });
    const byEmail = new Map([...sandbox.contacts()].map((contact) => [contact.email, contact]));
    for (const [n, value] of values.entries()) {
      const { firstName, lastName } = byEmail.get(`p${n}@example.com`) ?? {};
      expect({ n, firstName, lastName }).toEqual({ n, firstName: value, lastName: value });
    }
  });

  it.each([
    ['NUL', 'a\0b'],
    ['half a character', '\ud83d'],
  ])('%s is refused with a reason, and costs only its line', async (_what, value) => {
    await using sluice = await startSluice();
    const body = [
      { id: '1', name: value },
      { id: '2', name: 'fine' },
    ]
      .map((row) => JSON.stringify(row))
      .join('\n');
    const response = await fetch(`${sluice.url}/profiles?id=id`, {
      method: 'PUT',
      headers: { 'content-type': 'application/x-ndjson', authorization: `Bearer ${sluice.token}` },
      body,
    });
    expect(await response.json()).toMatchObject({
      stored: 1,
      rejected: 1,
      errors: [{ line: 1, message: expect.stringMatching(/\w+/) as string }],
    });
  });

  it('has an id and a name that come through as they are', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    for (const [n, name] of Object.values(HOSTILE).entries()) {
      const row = { id: `${name}${n}`, email: `p${n}@example.com`, [name]: 'value' };
      const response = await fetch(`${sluice.url}/profiles?id=id&segment=All`, {
        method: 'PUT',
        headers: { 'content-type': 'application/x-ndjson', authorization: `Bearer ${sluice.token}` },
        body: JSON.stringify(row),
      });
      expect(await response.json()).toMatchObject({ stored: 1, rejected: 0 });
      const exportId = await createExportOf(sluice, {
        connectionId: engine.connectionId,
        segmentIds: [await segmentNamed(sluice, 'All')],
        mapping: { email: 'email', firstName: name },
      });
      expect(await runFully(sluice, exportId)).toMatchObject({
        state: 'SUCCEEDED',
        progress: { confirmed: 1 },
      });
    }
    expect([...sandbox.contacts()].map(({ firstName }) => firstName)).toEqual(cases.map(() => 'value'));
  });

  it('spaces and line breaks of ASCII around it are left out, as the schema says', async () => {
    await using engine = await startEngine();
    const exportId = await exportOf(engine, 'id,email,first_name\n1,ann@example.com," \t\nAnn\r\n "\n', {
      mapping: { email: 'email', firstName: 'first_name' },
    });
    await runFully(engine.sluice, exportId);
    expect([...engine.sandbox.contacts()].map(({ firstName }) => firstName)).toEqual(['Ann']);
    expect(readFileSync('src/schema/schema.graphql', 'utf8')).toContain(
      'Spaces and line breaks around a value',
    );
  });
});

describe('every input of the schema', () => {
  const schema = buildSchema(readFileSync('src/schema/schema.graphql', 'utf8'));
  let sandbox: Awaited<ReturnType<typeof startTestSandbox>>;
  let sluice: Sluice;
  let world: World;
  beforeAll(async () => {
    sandbox = await startTestSandbox();
    sluice = await startSluice({ sandbox });
    const [shared] = await makeWorlds(sluice, sandbox);
    if (shared === undefined) throw new Error('There is no world.');
    world = shared;
  }, 60_000);
  afterAll(async () => {
    await sluice.stop();
    await sandbox[Symbol.asyncDispose]();
  });

  it.each(placesOf(schema).filter(({ isList, isText }) => isList || isText))(
    'has bounds: $operation, $path',
    async (place) => {
      const { operation, path, isList, item } = place;
      const hostile = isList ? [Array<string>(1_001).fill(item)] : ['x'.repeat(1_001), 'a\0b', 'a\ud800b'];
      for (const value of hostile) {
        const { document, variables } = callAt(schema, place, value);
        const { body } = await sluice.request(document, variables);
        expect({ path, errors: body.errors }).toMatchObject({
          errors: [
            {
              extensions: {
                code: 'BAD_USER_INPUT',
                field: expect.any(String) as string,
                remedy: expect.any(String) as string,
              },
            },
          ],
        });
      }
      expect(await SAMPLES[operation](world)).toBeDefined();
    },
  );
});
