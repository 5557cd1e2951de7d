import { ImportDoor } from './helpers/import-door.js';

/* Files as spreadsheets and mailing tools write them: what can be read without doubt is read, else the message names the cause. */

describe('an import of a file from a spreadsheet', () => {
  let door: ImportDoor;
  beforeEach(async () => {
    door = await ImportDoor.open();
  });
  afterEach(async () => {
    await door[Symbol.asyncDispose]();
  });

  const ANN = { 1: { email: 'a@x.com', name: 'Lee, Ann' } };

  it.each<[string, string]>([
    ['semicolons', 'id;email;name\r\n1;a@x.com;Lee, Ann\r\n'],
    ['semicolons and quotes', '"id";"email";"name"\r\n"1";"a@x.com";"Lee, Ann"\r\n'],
    ['tabs', 'id\temail\tname\n1\ta@x.com\tLee, Ann\n'],
    ['tabs and quotes', '"id"\t"email"\t"name"\n"1"\t"a@x.com"\t"Lee, Ann"\n'],
    ['the line sep=;', 'sep=;\r\nid;email;name\r\n1;a@x.com;Lee, Ann\r\n'],
    ['the line sep=, ', 'sep=,\nid,email,name\n1,a@x.com,"Lee, Ann"\n'],
    ['the line "SEP=\t"', '"SEP=\t"\nid\temail\tname\n1\ta@x.com\tLee, Ann\n'],
    ['the line sep=|', 'sep=|\nid|email|name\n1|a@x.com|Lee, Ann\n'],
    ['carriage returns alone at the ends of lines', 'id,email,name\r1,a@x.com,"Lee, Ann"\r'],
    ['the line sep=^', 'sep=^\nid^email^name\n1^a@x.com^Lee, Ann\n'],
    ['a line sep=; in front of a byte order mark', 'sep=;\n\ufeffid;email;name\n1;a@x.com;Lee, Ann\n'],
    ['two byte order marks', '\ufeff\ufeffid,email,name\n1,a@x.com,"Lee, Ann"\n'],
    ['a mark and empty lines in front', '\ufeff\r\n\r\nid;email;name\r\n1;a@x.com;Lee, Ann\r\n'],
    ['empty columns at the end', 'id,email,name,,\n1,a@x.com,"Lee, Ann",,\n'],
    ['more empty columns than the header row', 'id,email,name\n1,a@x.com,"Lee, Ann",,,,\n'],
    ['empty rows in front of the header row', ',,\r\n"","",\r\nid,email,name\r\n1,a@x.com,"Lee, Ann"\r\n'],
    ['empty rows behind the line sep=', 'sep=;\n;;\nid;email;name\n1;a@x.com;Lee, Ann\n'],
    ['spaces behind the last line', 'id,email,name\n1,a@x.com,"Lee, Ann"\n  '],
    ['empty rows', 'id,email,name\n,,\n1,a@x.com,"Lee, Ann"\n\n , ,\n,,\n'],
  ])('reads %s', async (_what, body) => {
    const { status, report } = await door.put(body);
    expect(report.errors).toEqual([]);
    expect({ status, received: report.received }).toEqual({ status: 200, received: 1 });
    expect(await door.profiles()).toEqual(ANN);
  });

  it('reads carriage returns alone in a large file, which comes in many pieces', async () => {
    const rows = Array.from({ length: 20_000 }, (_, n) => `${n},"é, ${n}"`);
    const { report } = await door.put(`id,name\r${rows.join('\r')}\r`);
    expect(report).toMatchObject({ received: 20_000, stored: 20_000 });
    expect((await door.profiles())['19999']).toEqual({ name: 'é, 19999' });
  });

  it.each<[string, string, string]>([
    ['line feeds in its cells', 'id,note\r1,"a\nb"\r2,x\r', 'a\nb'],
    ['CRLF in its cells', 'id,note\r1,"a\r\nb"\r2,x', 'a\r\nb'],
  ])('reads a file that ends its lines with carriage returns alone and has %s', async (_what, body, note) => {
    const { report } = await door.put(body);
    expect(report).toMatchObject({ received: 2, stored: 2, errors: [] });
    expect(await door.profiles()).toEqual({ 1: { note }, 2: { note: 'x' } });
  });

  it('reads NDJSON with two byte order marks and carriage returns alone', async () => {
    await door.putNdjson('\ufeff\ufeff{"id":"1","a":"\\"x"}\r{"id":"2","a":"y"}\r');
    expect(await door.profiles()).toEqual({ 1: { a: '"x' }, 2: { a: 'y' } });
  });

  it('shows what cannot be seen in the key of NDJSON', async () => {
    const { report } = await door.putNdjson('{"id\\u200b":"1","a":"x"}\n');
    expect(report.errors).toEqual([
      { line: 1, message: 'it has no "id", but "idU+200B", which looks like it' },
    ]);
  });

  it('reads a name in quotes that goes on in the next line, between semicolons', async () => {
    const { status } = await door.put('id;a;"an\naddress"\n1;x;y\n', { query: 'id=id&columns=a' });
    expect(status).toBe(200);
    expect(await door.profiles()).toEqual({ 1: { a: 'x' } });
  });

  it('counts lines behind a sep= line and empty lines', async () => {
    const { report } = await door.put('\n\nsep=;\nid;a\n1;x\n2;x;y\n');
    expect(report.errors).toEqual([{ line: 6, message: 'it has 3 fields, but the header row names 2' }]);
  });

  it.each<[string, string, string, string]>([
    [
      'an invisible character in the id column',
      'id\u200b,a\n1,x\n',
      'id',
      'one that looks like it: "idU+200B".',
    ],
    [
      'a no-break space in the id column',
      'my\u00a0id,a\n1,x\n',
      'id',
      'The file has no column "my id", but one that looks like it: "myU+00A0id".',
    ],
    [
      'a no-break space behind a name',
      'id,name,name\u00a0\n1,x,y\n',
      'body',
      '"name" and "nameU+00A0" differ in characters that cannot be seen',
    ],
    ['carriage returns and line feeds', 'id,a\r1,"x\ny"\r2,y\n', 'body', 'has a carriage return in it'],
    ['a carriage return in the id column', 'a,id\rx,1\n', 'body', 'has a carriage return in it'],
    [
      'two columns that look alike',
      'id,name,name\u200b\n1,x,y\n',
      'body',
      'The columns 2 and 3 look alike: "name" and "nameU+200B"',
    ],
    [
      'a name in the middle that is empty',
      'id,,b\n1,x,y\n',
      'body',
      'The name of column 2 ("") cannot be used',
    ],
    ['no id in a file with semicolons', 'key;a;b\n1;x;y\n', 'id', 'its columns are "key", "a", "b".'],
  ])('names the cause: %s', async (_what, body, field, message) => {
    const { status, failure } = await door.put(body, { query: body.startsWith('my') ? 'id=my+id' : 'id=id' });
    expect(status).toBe(400);
    expect(failure.message).toContain(message);
    expect(failure.extensions.field).toBe(field);
    expect(await door.profiles()).toEqual({});
  });

  it('keeps the id as an attribute too, where the caller wants it', async () => {
    await door.put('Email,Name\na@x.com,Ann\n', { query: 'id=Email&idAttribute=true' });
    expect(await door.profiles()).toEqual({ 'a@x.com': { Email: 'a@x.com', Name: 'Ann' } });
    await door.putNdjson('{"Email":"b@x.com","Name":"Bob"}\n', 'id=Email&idAttribute=true');
    expect((await door.profiles())['b@x.com']).toEqual({ Email: 'b@x.com', Name: 'Bob' });
    expect((await door.attributes()).Email).toEqual([2, 'a@x.com']);
  });

  it('takes 200 attributes, of which the id may be one', async () => {
    const file = (count: number) => `id,${Array.from({ length: count }, (_, n) => `a${n}`).join()}\n`;
    const statusOf = async (count: number, query: string) => (await door.put(file(count), { query })).status;
    expect(await statusOf(200, 'id=id')).toBe(200);
    expect(await statusOf(200, 'id=id&idAttribute=true')).toBe(400);
    expect(await statusOf(199, 'id=id&idAttribute=true')).toBe(200);
    const { failure } = await door.put('constructor,a\n1,x\n', { query: 'id=constructor&idAttribute=true' });
    expect(failure.message).toContain('The id cannot be an attribute under the name "constructor"');
  });

  it('reads the columns that are named, and only these', async () => {
    const file = 'id,email,email,"a, b",note\n1,a@x.com,b@x.com,c,secret\n';
    const { failure } = await door.put(file);
    expect(failure.message).toContain('names the column "email" twice');
    const { status } = await door.put(file, { query: `id=id&columns=${encodeURIComponent('note,"a, b"')}` });
    expect(status).toBe(200);
    expect(await door.profiles()).toEqual({ 1: { note: 'secret', 'a, b': 'c' } });
    await door.putNdjson('{"id":"2","note":"x","a":{"no":"text"}}\n', 'id=id&columns=note');
    expect((await door.profiles())['2']).toEqual({ note: 'x' });
  });

  it.each<[string, string, string]>([
    [
      'a column that is not there',
      'id=id&columns=nmae',
      'The file has no column "nmae"; its columns are "id", "name".',
    ],
    [
      'a column that only looks like one that is there',
      'id=id&columns=na%C2%ADme',
      'The file has no column "naU+00ADme", but one that looks like it: "name".',
    ],
    ['columns that cannot be read', 'id=id&columns=%22a', 'The names of columns cannot be read.'],
    ['another word for true', 'id=id&idAttribute=yes', 'The parameter idAttribute is "yes".'],
    ['another way for short rows', 'id=id&short=drop', 'There is no way "drop" to take short rows.'],
  ])('refuses %s', async (_what, query, message) => {
    const { status, failure } = await door.put('id,name\n1,x\n', { query });
    expect({ status, message: failure.message }).toEqual({ status: 400, message });
    expect(failure.extensions.remedy).toMatch(/\.$/);
  });
});

describe('a row with fewer fields than the header row names', () => {
  let door: ImportDoor;
  const rows = (count: number) => Array.from({ length: count }, (_, n) => `p${n},a${n},b${n}\n`).join('');

  beforeEach(async () => {
    door = await ImportDoor.open();
    await door.put(`id,a,b\n1,x,y\n2,x,y\n${rows(100)}`, { query: 'id=id&segment=all' });
  });
  afterEach(async () => {
    await door[Symbol.asyncDispose]();
  });

  it('says nothing of the last columns: they stay as they are, and are never emptied', async () => {
    const { status, report } = await door.put(`id,a,b\n1,new\n${rows(100)}`, { query: 'id=id&segment=all' });
    expect(status).toBe(200);
    expect(report).toMatchObject({ received: 101, stored: 1, rejected: 0 });
    expect((await door.profiles())['1']).toEqual({ a: 'new', b: 'y' });
  });

  it('is rejected where missing attributes would be dropped (mode=replace)', async () => {
    const { report } = await door.put(`id,a,b\n1,new\n${rows(100)}`, {
      query: 'id=id&mode=replace&segment=all',
    });
    expect(report.errors).toEqual([{ line: 2, message: 'it has 2 fields, but the header row names 3' }]);
    expect((await door.profiles())['1']).toEqual({ a: 'x', b: 'y' });
    expect(await door.members('all')).toContain('1');
  });

  it('refuses the file when there are more than one in a hundred, unless short=pad', async () => {
    const body = `id,a,b\n1,new\n2,new\n${rows(100)}`;
    const { status, failure } = await door.put(body, { query: 'id=id&segment=all' });
    expect(status).toBe(400);
    expect(failure.message).toContain(
      '2 of 102 rows have fewer fields than the 3 that the header row names; the first is on line 2.',
    );
    expect(failure.extensions.remedy).toContain('short=pad');
    expect(await door.members('all')).toHaveLength(102);
    const padded = await door.put(body, { query: 'id=id&segment=all&short=pad' });
    expect(padded.status).toBe(200);
    expect((await door.profiles())['2']).toEqual({ a: 'new', b: 'y' });
  });

  it('is a file that was cut off when it is the last one and has no line end', async () => {
    const { status, failure } = await door.put(`id,a,b\n${rows(100)}1,ne`, {
      query: 'id=id&segment=all&short=pad',
    });
    expect(status).toBe(400);
    expect(failure.message).toContain(
      'The last line (102) has fewer fields than the header row names, and no line end',
    );
    expect(failure.extensions.report).toMatchObject({ received: 101, rejected: 1 });
    expect((await door.profiles())['1']).toEqual({ a: 'x', b: 'y' });
    expect(await door.members('all')).toHaveLength(102);
  });

  it('is a file that was cut off also where only empty fields of the line are left', async () => {
    const { status, failure } = await door.put('a,b,id\nx,y,1\n,', { query: 'id=id&segment=some' });
    expect(status).toBe(400);
    expect(failure.message).toContain('The last line (3) has fewer fields');
  });

  it('is no error when the last line is whole without a line end', async () => {
    const { status } = await door.put(`id,a,b\n${rows(100)}1,n,m`);
    expect(status).toBe(200);
    expect((await door.profiles())['1']).toEqual({ a: 'n', b: 'm' });
  });

  it('that has too many fields is rejected, also in the last columns', async () => {
    const { report } = await door.put('id,a,b,\n1,n,m,\n2,n,m,extra\n');
    expect(report.errors).toEqual([{ line: 3, message: 'it has 4 fields, but the header row names 3' }]);
    expect((await door.profiles())['1']).toEqual({ a: 'n', b: 'm' });
  });
});
