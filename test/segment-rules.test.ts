import { foldCase, parseDate, parseNumber } from '../src/profiles/comparable.js';
import { createManualClock } from './helpers/manual-clock.js';
import { startSluice, type Sluice } from './helpers/sluice.js';

const NOON = Date.UTC(2026, 10, 30, 12);
const CSV = [
  'id,city,age,bought',
  'a,Brno,30,2026-11-30',
  'b,brno,9.5,2026-11-23T23:30:00+01:00',
  'c,BRNO-venkov,1e2,2026-11-22',
  'd,,,',
  'e,Straße,old,yesterday',
  'f,STRASSE,-4,2026-12-01',
  'g,Σίσυφος, 30 ,2026-11-30 12:00',
  '',
].join('\n');

interface Preview {
  readonly count: number;
  readonly members: readonly { readonly id: string; readonly attributes: Record<string, string> }[];
  readonly unparsed: readonly { attribute: string; comparedAs: string; count: number }[];
}

const PREVIEW = `query ($rule: JSONObject!) {
  previewSegment(rule: $rule) { count members { id attributes } unparsed { attribute comparedAs count } }
}`;

async function preview(sluice: Sluice, rule: unknown): Promise<Preview> {
  const { previewSegment } = await sluice.query<{ previewSegment: Preview }>(PREVIEW, { rule });
  return previewSegment;
}

/** `city equals "Brno"` with whatever else the condition has. */
const city = (operator: string, value?: unknown, more = {}) => ({
  attribute: 'city',
  operator,
  value,
  ...more,
});
const age = (operator: string, value?: unknown, more = {}) => ({
  attribute: 'age',
  operator,
  value,
  ...more,
});
const bought = (operator: string, value?: unknown, more = {}) => ({
  attribute: 'bought',
  operator,
  value,
  ...more,
});
const folded = { ignoreCase: true };

describe('a rule', () => {
  let sluice: Sluice;
  beforeAll(async () => {
    sluice = await startSluice({ clock: createManualClock(NOON) });
    await sluice.importCsv(CSV);
  });
  afterAll(async () => {
    await sluice.stop();
  });

  it.each<[rule: object, ids: string]>([
    [city('equals', 'Brno'), 'a'],
    [city('equals', 'brno', folded), 'ab'],
    [city('equals', 'strasse', folded), 'ef'],
    [city('equals', 'σίσυφοσ', folded), 'g'],
    [city('equals', ''), 'd'],
    [city('notEquals', 'Brno'), 'bcdefg'],
    [city('contains', 'rno'), 'ab'],
    [city('contains', 'RNO', folded), 'abc'],
    [city('startsWith', 'B'), 'ac'],
    [city('startsWith', 'STRASS', folded), 'ef'],
    [city('endsWith', 'venkov'), 'c'],
    [city('endsWith', 'NO', folded), 'ab'],
    [city('in', ['Brno', 'STRASSE']), 'af'],
    [city('in', ['BRNO', 'Straße'], folded), 'abef'],
    [city('notIn', ['Brno', 'brno']), 'cdefg'],
    [city('isEmpty'), 'd'],
    [city('isNotEmpty'), 'abcefg'],
    // Text in the order of its bytes, so that capitals come first; nothing is neither before nor after anything.
    [city('lessThan', 'Brno'), 'c'],
    [city('lessThanOrEqual', 'Brno'), 'ac'],
    [city('greaterThan', 'STRASSE'), 'beg'],
    [city('between', ['Brno', 'Straße']), 'aef'],
  ])('compares text: %j', async (rule, ids) => {
    const { members, unparsed } = await preview(sluice, rule);
    expect(members.map(({ id }) => id).join('')).toBe(ids);
    expect(unparsed).toEqual([]);
  });

  it.each<[rule: object, ids: string]>([
    [age('equals', 30), 'ag'],
    [age('equals', '30', { as: 'number' }), 'ag'],
    [age('notEquals', 30), 'bcdf'],
    [age('in', [100, -4]), 'cf'],
    [age('notIn', [100, -4]), 'abdg'],
    [age('greaterThan', 9.5), 'acg'],
    [age('greaterThanOrEqual', 9.5), 'abcg'],
    [age('lessThan', 9.5), 'f'],
    [age('lessThanOrEqual', 9.5), 'bf'],
    [age('between', [-4, 30]), 'abfg'],
    [{ not: age('greaterThan', 9.5) }, 'bdf'],
  ])('compares numbers, and nobody matches by a value that is none: %j', async (rule, ids) => {
    const { members, unparsed } = await preview(sluice, rule);
    expect(members.map(({ id }) => id).join('')).toBe(ids);
    expect(unparsed).toEqual([{ attribute: 'age', comparedAs: 'NUMBER', count: 1 }]);
  });

  it.each<[rule: object, ids: string]>([
    [bought('before', '2026-11-23'), 'c'],
    [bought('before', '2026-11-23T22:30:01Z'), 'bc'],
    [bought('before', '2026-11-23T22:30:00Z'), 'c'],
    [bought('after', '2026-11-30'), 'fg'],
    [bought('after', '2026-11-29T23:59:59Z'), 'afg'],
    [bought('equals', '2026-11-30', { as: 'date' }), 'a'],
    [bought('between', ['2026-11-22', '2026-11-30'], { as: 'date' }), 'abc'],
    // From the beginning of that day, in UTC, until now: not tomorrow.
    [bought('withinLastDays', 1), 'ag'],
    [bought('withinLastDays', 7), 'abg'],
    [bought('withinLastDays', 8), 'abcg'],
    [{ not: bought('withinLastDays', 7) }, 'cdf'],
  ])('compares dates: %j', async (rule, ids) => {
    const { members, unparsed } = await preview(sluice, rule);
    expect(members.map(({ id }) => id).join('')).toBe(ids);
    expect(unparsed).toEqual([{ attribute: 'bought', comparedAs: 'DATE', count: 1 }]);
  });

  it.each<[rule: object, ids: string]>([
    [{ all: [city('isNotEmpty'), age('equals', 30)] }, 'ag'],
    [{ any: [city('isEmpty'), age('equals', 30)] }, 'adg'],
    [{ not: { any: [city('isEmpty'), age('greaterThan', 0)] } }, 'f'],
    // What is clear without the value that cannot be read is clear.
    [{ any: [age('greaterThan', 1000), city('equals', 'Straße')] }, 'e'],
    [{ not: { all: [age('greaterThan', 1000), city('equals', 'Brno')] } }, 'abcdefg'],
    [{ all: [{ any: [{ not: { all: [{ any: [city('isEmpty')] }] } }] }] }, 'abcefg'],
  ])('combines: %j', async (rule, ids) => {
    expect((await preview(sluice, rule)).members.map(({ id }) => id).join('')).toBe(ids);
  });

  it('counts each value that it cannot read once, however many conditions ask and in whatever order', async () => {
    const rule = {
      any: [city('isNotEmpty'), age('equals', 1), { not: age('lessThan', 5) }, bought('after', '2026-01-01')],
    };
    expect((await preview(sluice, rule)).unparsed).toEqual([
      { attribute: 'age', comparedAs: 'NUMBER', count: 1 },
      { attribute: 'bought', comparedAs: 'DATE', count: 1 },
    ]);
  });

  it('shows the attributes of those whom it finds', async () => {
    expect(await preview(sluice, age('equals', 100))).toEqual({
      count: 1,
      members: [{ id: 'c', attributes: { city: 'BRNO-venkov', age: '1e2', bought: '2026-11-22' } }],
      unparsed: [{ attribute: 'age', comparedAs: 'NUMBER', count: 1 }],
    });
  });

  const six = { all: [{ any: [{ not: { all: [{ any: [{ not: city('isEmpty') }] }] } }] }] };
  it.each<[rule: object, field: string, message: string]>([
    [{}, 'rule', 'neither a condition nor exactly one of'],
    [{ all: [], any: [] }, 'rule', 'neither a condition nor exactly one of'],
    [{ none: [] }, 'rule', 'neither a condition nor exactly one of'],
    [{ all: [] }, 'rule.all', 'has no conditions'],
    [{ any: city('isEmpty') }, 'rule.any', 'has no conditions'],
    [{ not: [city('isEmpty')] }, 'rule.not', 'This is not a rule'],
    [{ all: [city('isEmpty'), 'x'] }, 'rule.all[1]', 'This is not a rule'],
    [six, 'rule.all[0].any[0].not.all[0].any[0]', 'more than 5 deep'],
    [{ all: Array.from({ length: 101 }, () => city('isEmpty')) }, 'rule', 'The rule has 101 conditions'],
    [{ operator: 'isEmpty' }, 'rule.attribute', 'names no attribute'],
    [{ attribute: 'city' }, 'rule.operator', 'has no operator'],
    [city('resembles', 'x'), 'rule.operator', 'There is no operator "resembles"'],
    [city('toString', 'x'), 'rule.operator', 'There is no operator "toString"'],
    [city('equals', 'x', { case: 1 }), 'rule.case', 'A condition has no "case"'],
    [city('equals'), 'rule.value', 'neither a text nor a number'],
    [city('equals', true), 'rule.value', 'neither a text nor a number'],
    [city('equals', ['x']), 'rule.value', 'takes one value'],
    [city('contains', ''), 'rule.value', 'everybody would match'],
    [city('contains', 5), 'rule.value', 'takes a text'],
    [city('in', 'x'), 'rule.value', 'takes a list'],
    [city('in', []), 'rule.value', 'The list has 0 values'],
    [city('in', ['x', 5]), 'rule.value', 'Some values are numbers'],
    [city('isEmpty', 'x'), 'rule.value', 'takes no value'],
    [city('between', ['a']), 'rule.value', 'between has 1 values'],
    [city('between', ['b', 'a']), 'rule.value', 'Nothing lies between'],
    [city('equals', 'x', { ignoreCase: 'yes' }), 'rule.ignoreCase', 'neither true nor false'],
    [age('equals', 30, folded), 'rule.ignoreCase', 'A number has no case'],
    [age('equals', 30, { as: 'money' }), 'rule.as', 'none of text, number and date'],
    [age('contains', '3', { as: 'number' }), 'rule.as', 'compares as text'],
    [age('greaterThan', '30'), 'rule.value', 'not clear whether "30" is a text, a number or a date'],
    [bought('between', ['2026-01-01', 'z']), 'rule.value', 'not clear whether "2026-01-01"'],
    [age('greaterThan', 'old', { as: 'number' }), 'rule.value', '"old" is no number'],
    [bought('before', '2026-02-30'), 'rule.value', '"2026-02-30" is no date'],
    [bought('before', 2026), 'rule.value', 'takes a text'],
    [bought('withinLastDays', 0), 'rule.value', 'no number of days'],
    [bought('withinLastDays', 1.5), 'rule.value', 'no number of days'],
  ])('that cannot be used is refused, with the place: %j', async (rule, field, message) => {
    const { body } = await sluice.request(PREVIEW, { rule });
    expect(body.errors).toMatchObject([
      {
        message: expect.stringContaining(message) as unknown,
        extensions: { code: 'BAD_USER_INPUT', field, remedy: expect.stringMatching(/\S/) as unknown },
      },
    ]);
  });

  it.each([
    ['in', 'any', 'a'],
    ['notIn', 'all', 'bcdefg'],
  ])('has 100 values in a list of "%s", and more of them under "%s"', async (operator, combined, ids) => {
    const many = Array.from({ length: 99 }, (_, n) => `City ${n}`);
    const { body } = await sluice.request(PREVIEW, { rule: city(operator, [...many, 'Brno', 'b']) });
    expect(body.errors).toMatchObject([
      {
        message: 'The list has 101 values.',
        extensions: {
          code: 'BAD_USER_INPUT',
          field: 'rule.value',
          remedy: expect.stringContaining(combined) as unknown,
        },
      },
    ]);
    const rule = { [combined]: [city(operator, [...many, 'Nowhere']), city(operator, [...many, 'Brno'])] };
    expect((await preview(sluice, rule)).members.map(({ id }) => id).join('')).toBe(ids);
  });

  it('that names an unknown attribute is refused with the nearest name', async () => {
    const rule = { all: [city('isEmpty'), { not: { attribute: 'boughtt', operator: 'isEmpty' } }] };
    const { body } = await sluice.request(PREVIEW, { rule });
    expect(body.errors).toMatchObject([
      {
        message: 'No profile has an attribute named "boughtt".',
        extensions: {
          code: 'BAD_USER_INPUT',
          field: 'rule.all[1].not.attribute',
          remedy: expect.stringContaining(
            'Did you mean "bought"? profileAttributes lists them all.',
          ) as string,
        },
      },
    ]);
  });
});

describe('case folding', () => {
  it.each([
    ['Straße', 'STRASSE'],
    ['ẞ', 'ss'],
    ['ΣΊΣΥΦΟΣ', 'σίσυφος'],
    ['ﬃ', 'FFI'],
    ['\u212a', 'k'],
    ['é', 'E\u0301'],
    ['ᾳ', 'ΑΙ'],
    ['ꭰ', 'Ꭰ'],
  ])('sees %s and %s as one', (one, other) => {
    expect(foldCase(one)).toBe(foldCase(other));
  });

  it.each([
    ['ı', 'i'],
    ['é', 'e'],
    ['o', 'ö'],
  ])('sees %s and %s as two', (one, other) => {
    expect(foldCase(one)).not.toBe(foldCase(other));
  });

  it('agrees with the simple folding of regular expressions for every character, and is done after one time', () => {
    const wrong: string[] = [];
    for (let code = 0; code <= 0x10ffff; code += 1) {
      if (code >= 0xd800 && code <= 0xdfff) continue;
      const character = String.fromCodePoint(code);
      const once = foldCase(character);
      if (foldCase(once) !== once) wrong.push(`${code.toString(16)} is not done`);
      for (const other of new Set([character.toLowerCase(), character.toUpperCase()])) {
        if (other === character || Array.from(other).length !== 1 || character === 'ı') continue;
        const pattern = new RegExp(`^\\u{${code.toString(16)}}$`, 'iu');
        if (pattern.test(other) && foldCase(other) !== once) wrong.push(code.toString(16));
      }
    }
    expect(wrong).toEqual([]);
  });
});

describe('numbers and dates', () => {
  it.each([
    ['12', 12],
    [' -1.50 ', -1.5],
    ['.5', 0.5],
    ['1e3', 1000],
    ['', undefined],
    ['1,000', undefined],
    ['0x10', undefined],
    ['12 kg', undefined],
    ['Infinity', undefined],
    ['1e999', undefined],
  ])('%j is the number %s', (text, number) => {
    expect(parseNumber(text)).toBe(number);
  });

  it.each([
    ['2026-11-30', '2026-11-30T00:00:00.000Z'],
    ['2026-11-30T10:00', '2026-11-30T10:00:00.000Z'],
    ['2026-11-30 10:00:01,5', '2026-11-30T10:00:01.500Z'],
    ['2026-11-30T00:30:00+01:00', '2026-11-29T23:30:00.000Z'],
    ['2026-11-30T23:30:00-0130', '2026-12-01T01:00:00.000Z'],
    ['2024-02-29', '2024-02-29T00:00:00.000Z'],
    ['0099-01-01', '0099-01-01T00:00:00.000Z'],
    ['2025-02-29', undefined],
    ['2026-13-01', undefined],
    ['2026-11-30T24:00', undefined],
    ['2026-11-30T10:00+24:00', undefined],
    ['30.11.2026', undefined],
    ['2026-11', undefined],
  ])('%j is the date %s', (text, date) => {
    const moment = parseDate(text);
    expect(moment === undefined ? undefined : new Date(moment).toISOString()).toBe(date);
  });
});
