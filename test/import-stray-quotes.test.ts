import { ImportDoor } from './helpers/import-door.js';

/*
 * A quote too many or too few in a CSV file. What follows it may look like the inside of one long field: nobody whose line
 * was swallowed may leave the segment.
 */

describe('a stray quote in an import of CSV', () => {
  let door: ImportDoor;
  const put = (body: string, query = 'id=id&segment=all') => door.put(body, { query });

  beforeEach(async () => {
    door = await ImportDoor.open();
    await put(['id,email,name', ...[1, 2, 3, 4, 5].map((n) => `${n},p${n}@x.com,N${n}`), ''].join('\n'));
  });
  afterEach(async () => {
    await door[Symbol.asyncDispose]();
  });

  const file = (...lines: string[]) => ['id,email,name', '1,p1@x.com,N1', ...lines, ''].join('\n');

  it.each<[string, number, string[]]>([
    [
      'in a value, with the next quote at the beginning of a field',
      3,
      ['2,p2@x.com,"N2', '3,p3@x.com,N3', '4,p4@x.com,"N, 4"', '5,p5@x.com,N5'],
    ],
    ['in the id', 3, ['"2,p2@x.com,N2', '3,p3@x.com,N3', '4,p4@x.com,"N, 4"', '5,p5@x.com,N5']],
    ['in the address', 3, ['2,"p2@x.com,N2', '3,p3@x.com,N3', '4,p4@x.com,"N, 4"', '5,p5@x.com,N5']],
    [
      'in a value, with the next quote inside a field that is not quoted',
      3,
      ['2,p2@x.com,"N2', '3,p3@x.com,N3', '4,p4@x.com,5" pipe', '5,p5@x.com,N5'],
    ],
    [
      'in a value, with a next quote that ends a field that is not quoted',
      3,
      ['2,"p2@x.com,N2', '3,p3@x.com,N3', '4,p4@x.com,5"', '5,p5@x.com,N5'],
    ],
    ['in a value, with no other quote', 3, ['2,p2@x.com,"N2', '3,p3@x.com,N3', '4,p4@x.com,N4']],
    [
      'at the end of a field, with a field behind it that goes on over lines',
      3,
      ['2,p2"@x.com,"N2', '3,p3@x.com,N3"', '4,p4@x.com,N4', '5,p5@x.com,N5'],
    ],
    [
      'behind a quoted field, with a field behind it that goes on over lines',
      3,
      ['2,"p2"@x.com,"N2', '3,p3@x.com,N3"', '4,p4@x.com,N4', '5,p5@x.com,N5'],
    ],
    [
      'that makes a value of many lines too long',
      3,
      ['2,p2@x.com,"N2', ...Array.from({ length: 900 }, (_, n) => `x${n},x${n}@x.com,N`), '4,5",N4'],
    ],
    ['that puts line breaks into an id', 3, ['"2', '3,p3@x.com,N3', '4",p4@x.com,N4', '5,p5@x.com,N5']],
  ])('%s refuses the file, names the line, and leaves the segment as it was', async (_where, line, lines) => {
    const { status, failure } = await put(file(...lines));
    expect(status).toBe(400);
    expect(failure.message).toMatch(new RegExp(`The record that (begins|starts) on line ${line} `));
    expect(failure.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'body' });
    expect(failure.extensions.report).toMatchObject({ received: 1, unchanged: 1, rejected: 0, removed: 0 });
    expect(await door.members('all')).toEqual(['1', '2', '3', '4', '5']);
    expect(Object.keys(await door.profiles())).toEqual(['1', '2', '3', '4', '5']);
  });

  it('far from the next quote refuses the file too', async () => {
    const rows = Array.from({ length: 20_000 }, (_, n) => `${n + 1},p${n + 1}@x.com,N${n + 1}`);
    await put(['id,email,name', ...rows, ''].join('\n'));
    rows[5] = '6,p6@x.com,"N6';
    rows[19_990] = '19991,p19991@x.com,"N, 19991"';
    const { status, failure } = await put(['id,email,name', ...rows, ''].join('\n'));
    expect(status).toBe(400);
    expect(failure.message).toContain('on line 7 ');
    expect(await door.members('all')).toHaveLength(20_000);
  });

  it.each<[string, string]>([
    ['a quote in a field that is not quoted', '2,p2@x.com,5" pipe'],
    ['text behind a closing quote', '2,p2@x.com,"N"2'],
    ['a nickname in quotes', '2,p2@x.com,Jo "Joe" N'],
    ['two fields with quotes', '2,"p2"@x.com,"N"2'],
  ])('on one line costs that line alone: %s', async (_what, line) => {
    const { status, report } = await put(file(line, '3,p3@x.com,"N, 3"', '4,p4@x.com,N4', '', '5,a,b,c'));
    expect(status).toBe(200);
    expect(report).toMatchObject({ received: 5, stored: 1, unchanged: 2, rejected: 2, removed: 0 });
    expect(report.errors.map((error) => error.line)).toEqual([3, 7]);
    expect((await door.profiles())['2']).toEqual({ email: 'p2@x.com', name: 'N2' });
    expect(await door.members('all')).toEqual(['1', '2', '3', '4', '5']);
  });

  it('is none where the standard allows it: line breaks, commas and doubled quotes in quoted fields', async () => {
    const { status, report } = await put(
      file(
        '2,"p2@x.com","a\nb\r\n\n""c"", d"',
        '3,p3@x.com,""',
        '4,p4@x.com,"""\n"""',
        '5,a,b,c',
        '6,p6@x.com,"x"',
      ),
    );
    expect(status).toBe(200);
    expect(report.errors).toEqual([{ line: 10, message: 'it has 4 fields, but the header row names 3' }]);
    const profiles = await door.profiles();
    expect(profiles['2']).toEqual({ email: 'p2@x.com', name: 'a\nb\r\n\n"c", d' });
    expect(profiles['4']).toEqual({ email: 'p4@x.com', name: '"\n"' });
    expect(Object.keys(profiles)).toEqual(['1', '2', '3', '4', '5', '6']);
  });
});

describe('a line whose id cannot be read', () => {
  let door: ImportDoor;
  beforeEach(async () => {
    door = await ImportDoor.open();
    await door.put('id,a\n1,x\n2,y\n3,z\n', { query: 'id=id&segment=all' });
  });
  afterEach(async () => {
    await door[Symbol.asyncDispose]();
  });

  it.each<[string, string, string]>([
    ['a quote in the id', 'id,a', '2",y'],
    ['text behind the quoted id', 'id,a', '"2"x,y'],
    ['a quote in front of the id', 'a,id', '5" pipe,2'],
    ['a value too many in front of the id', 'a,id', 'y,y,2'],
    ['an id with a control character', 'id,a', '2\u0007,y'],
  ])('removes nobody from the segment, and the report says so: %s', async (_what, header, line) => {
    const first = header === 'id,a' ? '1,x' : 'x,1';
    const { status, report } = await door.put(`${header}\n${first}\n${line}\n`, {
      query: 'id=id&segment=all',
    });
    expect(status).toBe(200);
    expect(report).toMatchObject({ rejected: 1, removed: 0 });
    expect(report.warnings).toEqual([
      '1 line cannot be matched with a profile, because the id cannot be read. Nobody was removed from the segment "all", because these lines may be about its members. Correct them and send the file again.',
    ]);
    expect(await door.members('all')).toEqual(['1', '2', '3']);
  });

  it.each<[string, string]>([
    ['a line that is no JSON', '{"id":"2"'],
    ['an id whose digits are lost', '{"id":12345678901234567890}'],
    ['an id that is a list', '{"id":["2"]}'],
  ])('removes nobody in NDJSON either: %s', async (_what, line) => {
    const { report } = await door.putNdjson(`{"id":"1","a":"x"}\n${line}\n`, 'id=id&segment=all');
    expect(report).toMatchObject({ rejected: 1, removed: 0 });
    expect(report.warnings).toHaveLength(1);
    expect(await door.members('all')).toEqual(['1', '2', '3']);
  });

  it('removes nobody from a segment of more members than one step copies', async () => {
    const ids = Array.from({ length: 45_000 }, (_, n) => `p${n}`);
    await door.put(['id', ...ids, ''].join('\n'), { query: 'id=id&segment=all' });
    const { report } = await door.put('id,a\nnew,x\n2",y\n', { query: 'id=id&segment=all' });
    expect(report.removed).toBe(0);
    expect(await door.members('all')).toHaveLength(45_001);
  });

  it('is not one whose id is empty: it names nobody, and whoever is missing leaves', async () => {
    const { report } = await door.put('id,a\n1,x\n,y\n', { query: 'id=id&segment=all' });
    expect(report).toMatchObject({ rejected: 1, removed: 2, warnings: [] });
    expect(await door.members('all')).toEqual(['1']);
  });

  it('does nothing to an import without a segment', async () => {
    const { report } = await door.put('id,a\n1,x\n2",y\n');
    expect(report).toMatchObject({ rejected: 1, removed: 0, warnings: [] });
  });

  it('says in words that a header alone has emptied the segment', async () => {
    const { report } = await door.put('id,a\n', { query: 'id=id&segment=all' });
    expect(report).toMatchObject({ received: 0, removed: 3 });
    expect(report.warnings).toEqual([
      'The file has no lines with data, so the segment "all" is empty now: 3 profiles left it.',
    ]);
  });
});
