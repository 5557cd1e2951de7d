import { getIntrospectionQuery } from 'graphql';
import { aboutARun, BOTH_DOORS, refusalsAt } from './helpers/both-doors.js';
import { exportOf, people, runFully, startEngine } from './helpers/engine.js';
import { startSluice, type Sluice } from './helpers/sluice.js';

const INVALID = 'GRAPHQL_VALIDATION_FAILED';
const SECRET_KEY = Buffer.alloc(32, 7).toString('base64');

/** A field of a run that is nested so deep, the run itself included. */
function nested(depth: number): string {
  const pairs = Math.floor((depth - 2) / 2);
  const inner = (depth - 2) % 2 === 0 ? 'id' : 'export { id }';
  return 'export { lastRun { '.repeat(pairs) + inner + ' } }'.repeat(pairs);
}

describe.each(BOTH_DOORS)('what may be asked over %s', (door) => {
  let sluice: Sluice;
  beforeAll(async () => {
    sluice = await startSluice();
  });
  afterAll(() => sluice.stop());

  const refuse = (selection: string, definitions?: string) =>
    refusalsAt(sluice, door, aboutARun(door, selection, definitions));
  /** There is no such run, so what is not refused for its form is NOT_FOUND. */
  const expectAllowed = async (selection: string, definitions?: string) => {
    expect(await refuse(selection, definitions)).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }]);
  };

  it('is nested 10 deep at most, however it is written', async () => {
    await expectAllowed(nested(10));
    const tooDeep = {
      message: 'The operation is nested 11 deep.',
      extensions: { code: INVALID, remedy: 'Nest fields 10 deep at most.' },
    };
    expect(await refuse(nested(11))).toMatchObject([tooDeep]);
    expect(await refuse(`... on ExportRun { ${nested(11)} }`)).toMatchObject([tooDeep]);
    const parts = `fragment a on ExportRun { export { lastRun { ...b } } } fragment b on ExportRun { ${nested(9)} }`;
    expect(await refuse('...a', parts)).toMatchObject([tooDeep]);
  });

  it('has 15 aliases at most, also when fragments multiply them', async () => {
    const aliases = (count: number) => Array.from({ length: count }, (_, n) => `a${n}: id`).join(' ');
    await expectAllowed(aliases(15));
    expect(await refuse(aliases(16))).toMatchObject([
      { message: 'The operation has 16 aliases.', extensions: { code: INVALID } },
    ]);
    const parts = `fragment a on ExportRun { ${aliases(8)} }`;
    expect(await refuse('...a export { lastRun { ...a } }', parts)).toMatchObject([
      { message: 'The operation has 16 aliases.' },
    ]);
  });

  it('has 1,000 words and signs at most', async () => {
    // Eight each, and some around them.
    const words = (times: number) => 'id @include(if: true) '.repeat(times);
    await expectAllowed(words(120));
    const [failure] = await refuse(words(124));
    expect(failure?.message).toMatch(/more tha[nt] 1000 tokens/);
    expect(failure?.extensions.code).toBe('GRAPHQL_PARSE_FAILED');
  });

  it('costs 10,000 fields at most, with rows multiplied', async () => {
    const runs = (first: string) =>
      `export { runs(first: ${first}) { nodes { rejections(first: 100) { nodes { email } } } } }`;
    const [failure] = await refuse(runs('100'));
    expect(failure).toMatchObject({
      message: expect.stringMatching(/^The operation may answer 2\d,\d{3}|2\d{4} fields\.$/) as string,
      extensions: { code: INVALID, remedy: expect.stringContaining('10000') as string },
    });
    await expectAllowed(runs('10'));
    await expectAllowed('export { runs { nodes { rejections(first: 1) { nodes { email } } } } }');
  });

  it('is counted with its variables', async () => {
    const document = aboutARun(
      door,
      'export { runs(first: $first) { nodes { rejections(first: $first) { nodes { email } } } } }',
    ).replace(door === 'HTTP' ? '{' : 'subscription', (word) =>
      door === 'HTTP' ? `query ($first: Int) ${word}` : `${word} ($first: Int)`,
    );
    const codes = async (first: unknown) =>
      (await refusalsAt(sluice, door, document, { first })).map(({ extensions }) => extensions.code);
    expect(await codes(100)).toEqual([INVALID]);
    expect(await codes(1_000_000_000)).toEqual([INVALID]);
    expect(await codes(10)).toEqual(['NOT_FOUND']);
    expect(await codes('ten')).toEqual(['BAD_USER_INPUT']);
  });

  it('is refused at once when fragments double each other', async () => {
    const doubling = Array.from(
      { length: 60 },
      (_, n) => `fragment f${n} on ExportRun { ...f${n + 1} ...f${n + 1} }`,
    ).join(' ');
    const parts = `${doubling} fragment f60 on ExportRun { id }`;
    // Written out they are 2^60 fields: whoever walked them would never answer.
    expect(await refuse('...f0', parts)).toMatchObject([{ message: 'The operation is too large.' }]);
  });

  it('is refused, and not followed for ever, when fragments contain themselves', async () => {
    const [failure] = await refuse('...a', 'fragment a on ExportRun { export { lastRun { ...a } } }');
    expect(failure?.extensions.code).toBe(INVALID);
  });

  it('gets no suggestions for what does not exist', async () => {
    const failures = [
      ...(await refuse('stat')),
      ...(await refuse('exportt { id }')),
      ...(await refuse('rejections(reasn: MISSING_EMAIL) { totalCount }')),
      ...(await refuse('rejections(reason: MISSING_MAIL) { totalCount }')),
      ...(await refuse('id @skp(if: true)')),
    ];
    expect(failures.map(({ extensions }) => extensions.code)).toEqual(failures.map(() => INVALID));
    expect(JSON.stringify(failures)).not.toMatch(/did you mean|"state|MISSING_EMAIL/i);
  });
});

it.each(BOTH_DOORS)('pages have 100 rows at most over %s', async (door) => {
  await using engine = await startEngine();
  const run = await runFully(engine.sluice, await exportOf(engine, people(1)));
  for (const first of [101, 0, -1]) {
    const document = aboutARun(door, `rejections(first: ${first}) { totalCount }`).replace('nowhere', run.id);
    expect(await refusalsAt(engine.sluice, door, document)).toMatchObject([
      { extensions: { code: 'BAD_USER_INPUT', field: 'first', remedy: 'Ask for 1 to 100 rows at a time.' } },
    ]);
  }
});

describe('the schema', () => {
  const production = { NODE_ENV: 'production', SLUICE_SECRET_KEY: SECRET_KEY };
  const questions = [getIntrospectionQuery(), '{ __type(name: "User") { name } }'];

  it('may be asked for while developing', async () => {
    await using sluice = await startSluice();
    const answer = await sluice.query<{ __schema: { types: unknown[] } }>(getIntrospectionQuery());
    expect(answer.__schema.types.length).toBeGreaterThan(20);
  });

  it('may be asked for in production only when the setting says so', async () => {
    await using open = await startSluice({ env: { ...production, SLUICE_INTROSPECTION: 'true' } });
    await open.query(getIntrospectionQuery());
    await using closed = await startSluice({ env: production });
    for (const question of questions) {
      for (const { message, extensions } of await refusalsAt(closed, 'HTTP', question)) {
        expect(extensions.code).toBe(INVALID);
        expect(message).toContain('introspection has been disabled');
      }
    }
    expect(await closed.query('{ __typename }')).toEqual({ __typename: 'Query' });
  });

  it('cannot be asked for over WebSocket at all', async () => {
    await using sluice = await startSluice();
    for (const field of ['__schema { queryType { name } }', '__type(name: "User") { name }']) {
      const [failure] = await refusalsAt(sluice, 'WebSocket', `subscription { ${field} }`);
      expect(failure?.extensions.code).toBe(INVALID);
    }
  });

  it('may be closed while developing, too', async () => {
    await using sluice = await startSluice({ env: { SLUICE_INTROSPECTION: 'false' } });
    expect((await refusalsAt(sluice, 'HTTP', getIntrospectionQuery()))[0]?.extensions.code).toBe(INVALID);
  });

  it('cannot be asked for in circles', async () => {
    await using sluice = await startSluice();
    const circles =
      '{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }';
    const [failure] = await refusalsAt(sluice, 'HTTP', circles);
    expect(failure?.extensions.code).toBe(INVALID);
  });
});
