import { ImportDoor } from './helpers/import-door.js';

describe('an import of NDJSON', () => {
  let door: ImportDoor;
  beforeEach(async () => {
    door = await ImportDoor.open();
  });
  afterEach(async () => {
    await door[Symbol.asyncDispose]();
  });

  it('stores one profile a line, values as text, null as empty', async () => {
    const { report } = await door.putNdjson(
      '{"id":7,"name":"Ann","age":41,"score":1.5,"vip":true,"phone":null}\n\n{"id":"b","name":""}',
    );
    expect(report).toEqual({
      received: 2,
      stored: 2,
      unchanged: 0,
      rejected: 0,
      removed: 0,
      errors: [],
      warnings: [],
    });
    expect(await door.profiles()).toEqual({
      7: { name: 'Ann', age: '41', score: '1.5', vip: 'true', phone: '' },
      b: { name: '' },
    });
    expect(await door.attributes()).toMatchObject({ phone: [0, null], name: [1, 'Ann'] });
  });

  it.each([
    ['not JSON', '{"id":1', 'it is not valid JSON'],
    ['a list', '[1]', 'it is not a JSON object'],
    ['a bare value', '"x"', 'it is not a JSON object'],
    ['an object inside', '{"id":1,"a":{"b":1}}', 'the value of "a" is an object or a list'],
    ['a list inside', '{"id":1,"a":[]}', 'the value of "a" is an object or a list'],
    ['no id', '{"a":"x"}', 'it has no "id"'],
    ['an empty id', '{"id":" "}', 'the id is empty'],
    ['an id that is null', '{"id":null}', 'the id is empty'],
    ['an id that is an object', '{"id":{}}', 'the id is not a text or an exact number'],
    ['an id whose digits are lost', '{"id":12345678901234567890}', 'the id is not a text or an exact number'],
    [
      'a number whose digits are lost',
      '{"id":1,"n":12345678901234567890}',
      'the number of "n" is too large to be kept exactly; send it as text',
    ],
    [
      'a number beyond all numbers',
      '{"id":1,"n":1e400}',
      'the number of "n" is too large to be kept exactly; send it as text',
    ],
    ['an id beyond all numbers', '{"id":-1e999}', 'the id is not a text or an exact number'],
    ['a NUL', String.raw`{"id":1,"a":"x\u0000"}`, 'the value of "a" has a NUL or half a character'],
    ['half a character', String.raw`{"id":1,"a":"\ud83d"}`, 'the value of "a" has a NUL or half a character'],
    ['an empty name', '{"id":1,"":"x"}', 'the name "" cannot be used: it is empty'],
    [
      'a name of JavaScript',
      '{"id":1,"__proto__":"x"}',
      'the name "__proto__" cannot be used: it is reserved',
    ],
    ['a name twice', '{"id":1,"a":"x","a ":"y"}', 'it names "a" twice'],
  ])('rejects a line with %s, and only that line', async (_what, line, message) => {
    const { status, report } = await door.putNdjson(`{"id":"before"}\n${line}\n{"id":"after"}\n`);
    expect(status).toBe(200);
    expect(report).toMatchObject({ received: 3, stored: 2, rejected: 1, errors: [{ line: 2, message }] });
    expect(Object.keys(await door.profiles())).toEqual(['after', 'before']);
  });

  it('rejects a line that names more than 200 attributes', async () => {
    const line = JSON.stringify(
      Object.fromEntries(Array.from({ length: 201 }, (_, index) => [`a${index}`, 'x'])),
    );
    const { report } = await door.putNdjson(`{"id":"1",${line.slice(1)}\n{"id":"2"}\n`);
    expect(report.errors).toEqual([{ line: 1, message: 'it names more than 200 attributes' }]);
  });

  it('leaves a segment as it is when no line has an id, for the key is probably misspelt', async () => {
    await door.putNdjson('{"id":"1"}\n', 'id=id&segment=all');
    const { status, failure } = await door.putNdjson('{"id":"2"}\n{"id":"3"}\n', 'id=key&segment=all');
    expect(status).toBe(400);
    expect(failure.message).toContain('No line has an id that can be read: it has no "key".');
    expect(failure.extensions.report).toMatchObject({ received: 2, stored: 0, rejected: 2 });
    expect(await door.members('all')).toEqual(['1']);
  });
});
