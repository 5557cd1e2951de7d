import 'reflect-metadata';
import { ProfileAttribute } from '../src/entities/profile-attribute.js';
import { bodiesOf, exportOf, held, imports, rejectionsOf, runFully, startEngine } from './helpers/engine.js';
import { entriesOf, insert, upgraded, writeOld } from './helpers/old-ledger.js';
import { startSluice, temporaryFolder, type Sluice } from './helpers/sluice.js';

/* A value without any character that a reader can see is empty, wherever values are read. */

const HEADER = 'id,email,first_name,last_name,phone\n';
const NO_BREAK_SPACE = '\u00a0';

/** One of each kind that Unicode has. */
const INVISIBLE = [
  NO_BREAK_SPACE,
  '\u3000',
  '\u2007 \u202f',
  '\u200b',
  '\u200d\u200e\u202e',
  '\ufeff',
  '\u00ad\u2060',
  '\u2028\u0085',
  '\u3164\u115f\uffa0',
  '\u2800',
  '\ufe0f\u034f\u180e',
  '\u{e0020}\u{1d173}',
  '\u001f',
];

const attributesOf = async (sluice: Sluice) => {
  const { profileAttributes } = await sluice.query<{
    profileAttributes: { name: string; filled: number; sample: string | null }[];
  }>('{ profileAttributes { name filled sample } }');
  return Object.fromEntries(profileAttributes.map(({ name, filled, sample }) => [name, [filled, sample]]));
};

describe('a value without any visible character', () => {
  it('does not overwrite what the contact holds, at the first delivery or later', async () => {
    await using engine = await startEngine({ sandbox: { keepBodies: true } });
    const { sandbox, sluice } = engine;
    const people = INVISIBLE.map((_, n) => `p${n + 10}@example.com`);
    sandbox.addContacts(people.map((email) => ({ email, firstName: 'Ann', lastName: 'Lee', phone: '1' })));
    const rows = (phone: string) =>
      INVISIBLE.map((value, n) => `${n},${people[n]},"${value}"," ${value}${value}",${phone}\n`).join('');
    const exportId = await exportOf(engine, HEADER + rows('2'));

    await runFully(sluice, exportId);

    expect(held(sandbox)).toEqual(people.map((email) => `${email}|Ann|Lee|2`));
    const subscribe = [{ listid: 1 }];
    expect(bodiesOf(imports(sandbox)).flat()).toEqual(
      people.map((email) => ({ email, phone: '2', subscribe })),
    );
    await sluice.importCsv(HEADER + rows('3'));
    await runFully(sluice, exportId);
    expect(held(sandbox)).toEqual(people.map((email) => `${email}|Ann|Lee|3`));
  });

  it('clears a field that was sent before, as every empty value does', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, `${HEADER}1,a@example.com,Ann,Lee,1\n`);
    await runFully(sluice, exportId);
    await sluice.importCsv(`${HEADER}1,a@example.com,${NO_BREAK_SPACE},Lee,1\n`);
    await runFully(sluice, exportId);
    expect(held(sandbox)).toEqual(['a@example.com||Lee|1']);
    // Both are empty: nothing has changed.
    await sluice.importCsv(`${HEADER}1,a@example.com,,Lee,1\n`);
    expect((await runFully(sluice, exportId)).progress).toMatchObject({ unchanged: 1, toSend: 0 });
  });

  it('is no address', async () => {
    await using engine = await startEngine();
    const exportId = await exportOf(engine, `${HEADER}1,\u200b,Ann,,\n2,b@example.com,Bob,,\n`);
    const run = await runFully(engine.sluice, exportId);
    expect(await rejectionsOf(engine.sluice, run.id)).toMatchObject([
      { profileId: '1', reason: 'MISSING_EMAIL' },
    ]);
  });

  it('keeps the characters of values that have a visible one', async () => {
    await using engine = await startEngine();
    const exportId = await exportOf(engine, `${HEADER}1,a@example.com,${NO_BREAK_SPACE}Ann\u200d,\u06dd,\n`);
    await runFully(engine.sluice, exportId);
    expect(held(engine.sandbox)).toEqual([`a@example.com|${NO_BREAK_SPACE}Ann\u200d|\u06dd|`]);
  });

  it('is not counted as filled, and is no example', async () => {
    await using sluice = await startSluice();
    await sluice.importCsv(`id,a,b\n1,${NO_BREAK_SPACE},\u200b\n2,x,\ufeff\n3,\u3000,\n`);
    expect(await attributesOf(sluice)).toEqual({ a: [1, 'x'], b: [0, null] });
    await sluice.importCsv(`id,a,b\n1,y,z\n2,${NO_BREAK_SPACE},\n`);
    expect(await attributesOf(sluice)).toEqual({ a: [1, 'x'], b: [1, 'z'] });
    await sluice.importCsv('id,a\n4,x\n5,y\n');
    await sluice.query('mutation { removeProfiles(ids: ["4", "1"]) }');
    // Profile 2 has no visible value, profile 5 does.
    expect(await attributesOf(sluice)).toEqual({ a: [1, 'y'], b: [0, null] });
  });

  it('is empty to every condition of a rule', async () => {
    await using sluice = await startSluice();
    const rows = INVISIBLE.map((value, n) => `i${n},"${value}"\n`).join('');
    await sluice.importCsv(`id,a\n${rows}empty,\nfull,x${NO_BREAK_SPACE}y\n`);
    const countOf = async (rule: object) => {
      const { previewSegment } = await sluice.query<{
        previewSegment: { count: number; unparsed: object[] };
      }>('query ($rule: JSONObject!) { previewSegment(rule: $rule) { count unparsed { count } } }', { rule });
      return previewSegment.count;
    };
    const all = INVISIBLE.length + 2;
    const a = (operator: string, value?: unknown, more = {}) => ({
      attribute: 'a',
      operator,
      value,
      ...more,
    });
    expect(await countOf(a('isEmpty'))).toBe(all - 1);
    expect(await countOf(a('isNotEmpty'))).toBe(1);
    expect(await countOf(a('equals', ''))).toBe(all - 1);
    expect(await countOf(a('equals', NO_BREAK_SPACE))).toBe(all - 1);
    expect(await countOf(a('notEquals', '\u3000'))).toBe(1);
    expect(await countOf(a('in', ['\u200b', 'z'], { ignoreCase: true }))).toBe(all - 1);
    expect(await countOf(a('notIn', ['']))).toBe(1);
    expect(await countOf(a('contains', NO_BREAK_SPACE))).toBe(1);
    expect(await countOf(a('greaterThan', '!', { as: 'text' }))).toBe(1);
    expect(await countOf(a('lessThan', 5))).toBe(0);
    const { previewSegment } = await sluice.query<{ previewSegment: object }>(
      'query ($rule: JSONObject!) { previewSegment(rule: $rule) { unparsed { attribute count } } }',
      { rule: a('lessThan', 5) },
    );
    expect(previewSegment).toEqual({ unparsed: [{ attribute: 'a', count: 1 }] });
  });

  it('names no profile, and rows of such values cost nothing', async () => {
    await using sluice = await startSluice();
    const report = await sluice.importCsv(
      `id,a,b\n1,x,y\n${NO_BREAK_SPACE},x,y\n${NO_BREAK_SPACE},\u200b,\n2,x,y,\u3000\n`,
    );
    expect(report).toMatchObject({
      received: 3,
      stored: 2,
      errors: [{ line: 3, message: 'the id is empty' }],
    });
  });

  it('finds every export', async () => {
    await using engine = await startEngine();
    await exportOf(engine, `${HEADER}1,a@example.com,,,\n`);
    const { exports } = await engine.sluice.query<{ exports: { totalCount: number } }>(
      'query ($search: String) { exports(search: $search) { totalCount } }',
      { search: NO_BREAK_SPACE },
    );
    expect(exports.totalCount).toBe(1);
  });
});

describe('a database of version 0.1.0 with values that nobody can see', () => {
  const wanted = (email: string, ...values: (string | null)[]) => JSON.stringify([email, ...values]);

  it('knows them as empty, and as never sent', async () => {
    await using folder = await temporaryFolder();
    const [a, b, c, d, e, f] = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `${name}@example.com`) as [
      string,
      ...string[],
    ];
    await using database = await upgraded(folder.path, async (manager) => {
      const write = (email = '', columns: object) =>
        writeOld(manager, { email, filled: 7, everSent: 7, ...columns });
      await write(a, { wanted: wanted(a, NO_BREAK_SPACE, 'Lee', '\u200b') });
      await write(b, {
        wanted: wanted(b ?? '', 'Bob', 'Ray', null),
        delivered: wanted(b ?? '', '\u3000', 'Ray', '1'),
      });
      await write(c, {
        wanted: wanted(c ?? '', '\ufeff', 'X"\\\u0007', '1'),
        delivered: wanted(c ?? '', 'Cy', 'X', '1'),
      });
      await write(d, {
        wanted: wanted(d ?? '', '\u{e0020}', '', null),
        delivered: null,
        task: 2,
        everSent: 0,
      });
      await write(e, { wanted: wanted(e ?? '', `${NO_BREAK_SPACE}Eve`, '', '\u06dd') });
      await write(f, { wanted: wanted(f ?? '', '', null, '') });
    });
    const entries = await entriesOf(database);
    const entryOf = (email = '') => {
      const { wanted: text, delivered, filled, everSent } = entries.get(email) ?? {};
      return [text, delivered, filled, everSent];
    };
    expect(entryOf(a)).toEqual([wanted(a, '', 'Lee', ''), '=', 2, 2]);
    expect(entryOf(b)).toEqual([wanted(b ?? '', 'Bob', 'Ray', null), wanted(b ?? '', '', 'Ray', '1'), 7, 6]);
    expect(entryOf(c)).toEqual([
      wanted(c ?? '', '', 'X"\\\u0007', '1'),
      wanted(c ?? '', 'Cy', 'X', '1'),
      6,
      6,
    ]);
    expect(entryOf(d)).toEqual([wanted(d ?? '', '', '', null), null, 6, 0]);
    expect(entryOf(e)).toEqual([wanted(e ?? '', `${NO_BREAK_SPACE}Eve`, '', '\u06dd'), '=', 7, 7]);
    expect(entryOf(f)).toEqual([wanted(f ?? '', '', null, ''), '=', 7, 7]);
  });

  it('counts them anew', async () => {
    await using folder = await temporaryFolder();
    await using database = await upgraded(folder.path, async (manager) => {
      const profile = (id: string, attributes: object) =>
        insert(manager, 'profiles', { id, attributes: JSON.stringify(attributes) });
      await profile('1', { a: NO_BREAK_SPACE, b: 'x', c: '\u200b' });
      await profile('2', { a: `${NO_BREAK_SPACE}y`, b: '\u3000 ', c: '' });
      await profile('3', { a: '\u{e0020}', 'q"uo.te': '\ufeff', b: '\u06dd' });
      const attribute = (name: string, filled: number, sample: string) =>
        insert(manager, 'profile_attributes', { name, filled, sample });
      await attribute('a', 3, NO_BREAK_SPACE);
      await attribute('b', 3, 'x');
      await attribute('c', 1, '\u200b');
      await attribute('q"uo.te', 1, '\ufeff');
    });
    const attributes = await database.reader.find(ProfileAttribute, { order: { name: 'ASC' } });
    expect(attributes.map(({ name, filled, sample }) => [name, filled, sample])).toEqual([
      ['a', 1, `${NO_BREAK_SPACE}y`],
      ['b', 2, 'x'],
      ['c', 0, null],
      ['q"uo.te', 0, null],
    ]);
  });
});
