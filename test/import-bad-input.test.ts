import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { ImportDoor } from './helpers/import-door.js';

describe('an import that cannot be used', () => {
  let door: ImportDoor;
  beforeEach(async () => {
    door = await ImportDoor.open();
  });
  afterEach(async () => {
    await door[Symbol.asyncDispose]();
  });

  const utf16 = (text: string, mark: number[]) =>
    Buffer.concat([Buffer.from(mark), Buffer.from(text, 'utf16le')]);
  const good = 'id,a\n1,x\n';

  it.each<[string, string | Uint8Array, string, string]>([
    ['a missing id column', 'key,a\n1,x\n', 'id', 'The file has no column "id"; its columns are "key", "a".'],
    ['a duplicate header', 'id,a,a\n1,x,y\n', 'body', 'The header row names the column "a" twice.'],
    ['a duplicate id column', 'id,id\n1,2\n', 'body', 'The header row names the column "id" twice.'],
    [
      'an empty header name',
      'id,,b\n1,x,y\n',
      'body',
      'The name of column 2 ("") cannot be used: it is empty.',
    ],
    ['a header name of JavaScript', 'id,constructor\n', 'body', 'cannot be used: it is reserved.'],
    [
      'a header with a control character',
      'id,a\x07b\n',
      'body',
      'cannot be used: it has a control character.',
    ],
    ['a header with a carriage return', 'id,a\rb\n', 'body', 'The header row has a carriage return in it'],
    ['a header name too long', `id,${'a'.repeat(201)}\n`, 'body', 'it is longer than 200 characters.'],
    ['too many columns', `id${',a'.repeat(201)}\n`, 'body', 'The header row has 202 columns'],
    ['a header with a stray quote', 'id,"a"b\n1,x\n', 'body', 'The header row cannot be read'],
    ['a header that is not UTF-8', Buffer.from('id,prénom\n1,x\n', 'latin1'), 'body', 'it is not UTF-8.'],
    ['an empty file', '', 'body', 'The body is empty.'],
    ['a file of a byte order mark', '\ufeff', 'body', 'The file is empty.'],
    ['a file of empty lines', '\n\r\n\n', 'body', 'The file is empty.'],
    ['UTF-16, little end first', utf16(good, [0xff, 0xfe]), 'body', 'The body is UTF-16 text.'],
    ['UTF-16, big end first', utf16(good, [0xff, 0xfe]).swap16(), 'body', 'The body is UTF-16 text.'],
    ['UTF-16 without a mark', utf16(good, []), 'body', 'The body is not UTF-8 text'],
    ['gzip that is not declared', gzipSync(good), 'body', 'The body is compressed with gzip'],
  ])('is refused as a whole: %s', async (_what, body, field, message) => {
    const { status, failure } = await door.put(body, { query: 'id=id&segment=all' });
    expect(status).toBe(400);
    expect(failure.message).toContain(message);
    expect(failure.extensions).toMatchObject({
      code: 'BAD_USER_INPUT',
      field,
      remedy: expect.stringMatching(/\.$/) as unknown,
    });
    expect(await door.profiles()).toEqual({});
    expect(await door.members('all')).toBeUndefined();
    expect(await door.generations()).toEqual({ rows: [], members: [] });
  });

  it.each([
    ['the id parameter is missing', '', 'id', 'The parameter id is missing.'],
    ['the id parameter is empty', 'id=+', 'id', 'The name of the id column is empty.'],
    ['the id parameter is given twice', 'id=a&id=b', 'id', 'The parameter id is given more than once.'],
    ['the mode is unknown', 'id=id&mode=upsert', 'mode', 'There is no mode "upsert".'],
    ['the segment has no name', 'id=id&segment=', 'segment', 'The name cannot be used: it is empty.'],
    ['the segment has a control character', 'id=id&segment=a%07', 'segment', 'it has a control character.'],
    ['a parameter is misspelt', 'id=id&segement=all', 'segement', 'There is no parameter "segement".'],
  ])('is refused when %s', async (_what, query, field, message) => {
    const { status, failure } = await door.put(good, { query });
    expect(status).toBe(400);
    expect(failure.message).toContain(message);
    expect(failure.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field });
    expect(await door.profiles()).toEqual({});
  });

  it.each([
    ['no content type', { type: null }, 'The request has no content type.', 'text/csv'],
    [
      'JSON',
      { type: 'application/json' },
      'The content type application/json is not understood.',
      'application/x-ndjson',
    ],
    ['nonsense', { type: 'csv' }, 'The content type csv is not understood.', 'text/csv'],
    [
      'another charset',
      { type: 'text/csv; charset=iso-8859-1' },
      'The charset iso-8859-1 is not understood.',
      'UTF-8',
    ],
    ['another encoding', { encoding: 'br' }, 'The content encoding br is not understood.', 'gzip'],
  ])('is refused with status 415: %s', async (_what, put, message, remedy) => {
    const { status, failure } = await door.put(good, put);
    expect(status).toBe(415);
    expect(failure.message).toBe(message);
    expect(failure.extensions.remedy).toContain(remedy);
    expect(await door.profiles()).toEqual({});
  });

  it('answers a refusal while the body is still under way, and lets the sender finish', async () => {
    const client = request({
      port: door.port,
      method: 'PUT',
      path: '/profiles?id=id',
      headers: { 'content-type': 'text/csv' },
    });
    client.write('key,a\n1,x\n');
    const [response] = (await once(client, 'response')) as [IncomingMessage];
    expect(await json(response)).toMatchObject({ errors: [{ extensions: { field: 'id' } }] });
    client.end('2,y\n'.repeat(5_000_000));
    await once(client, 'finish');
  });
});

describe('a line that cannot be used', () => {
  let door: ImportDoor;
  beforeEach(async () => {
    door = await ImportDoor.open();
  });
  afterEach(async () => {
    await door[Symbol.asyncDispose]();
  });

  it('costs only itself also when it comes right behind the header: a NUL byte', async () => {
    const { status, report } = await door.put('id,a\n1,x\0\n2,y\n');
    expect(status).toBe(200);
    expect(report).toMatchObject({
      stored: 1,
      rejected: 1,
      errors: [{ line: 2, message: 'it has a NUL byte' }],
    });
  });

  it.each<[string, string | Uint8Array, string]>([
    ['an empty id', ' ,x', 'the id is empty'],
    ['an id too long', `${'i'.repeat(201)},x`, 'the id is longer than 200 characters'],
    ['an id with a control character', 'a\tb,x', 'the id has a control character'],
    ['a value too long', `1,${'x'.repeat(10_001)}`, 'the value of "a" is longer than 10,000 characters'],
    ['a NUL byte', '1,x\0', 'it has a NUL byte'],
    ['bytes that are not UTF-8', Buffer.from('1,é', 'latin1'), 'it has bytes that are not UTF-8'],
    ['too many fields', '1,x,y', 'it has 3 fields, but the header row names 2'],
  ])('is rejected with its number, and the others are stored: %s', async (_what, line, message) => {
    // More than one block. In the first line NUL means that the whole file is no text.
    const before = Array.from({ length: 7_000 }, (_, index) => `p${index},before`);
    const body = Buffer.concat([
      Buffer.from(`id,a\n${before.join('\n')}\n`),
      Buffer.from(line as string),
      Buffer.from('\nafter,é\n'),
    ]);
    const { status, report } = await door.put(body);
    expect(status).toBe(200);
    expect(report.errors[0]).toEqual({ line: 7_002, message });
    expect(report).toMatchObject({ received: 7_002, stored: 7_001, rejected: 1 });
    expect((await door.profiles()).after).toEqual({ a: 'é' });
  });

  it('with a NUL byte costs only itself in a short file too: only in the first line it tells of a file that is no text', async () => {
    const { status, report } = await door.put('id,a\n1,x\0\n2,y\n');
    expect(status).toBe(200);
    expect(report).toMatchObject({
      stored: 1,
      rejected: 1,
      errors: [{ line: 2, message: 'it has a NUL byte' }],
    });
    expect(await door.profiles()).toEqual({ 2: { a: 'y' } });
  });

  it('takes a column whose name has a semicolon, when it is the one with the ids', async () => {
    await door.put('id;a\n1\n', { query: 'id=id;a' });
    expect(await door.profiles()).toEqual({ 1: {} });
  });

  it('takes the sign for damaged characters when it is in the file as such', async () => {
    await door.put('id,a\n1,\ufffd\n');
    expect(await door.profiles()).toEqual({ 1: { a: '\ufffd' } });
  });

  it('takes an empty list of profiles when there is a header', async () => {
    const { status, report } = await door.put('id,a\n');
    expect(status).toBe(200);
    expect(report).toEqual({
      received: 0,
      stored: 0,
      unchanged: 0,
      rejected: 0,
      removed: 0,
      errors: [],
      warnings: [],
    });
  });
});
