import { removeProfiles } from '../src/profiles/removal.js';
import { ACTOR, ImportDoor } from './helpers/import-door.js';

describe('what an import does to profiles that exist', () => {
  let door: ImportDoor;
  beforeEach(async () => {
    door = await ImportDoor.open();
    await door.put('id,email,phone\n1,a@x.com,111\n2,b@x.com,\n');
  });
  afterEach(async () => {
    await door[Symbol.asyncDispose]();
  });

  it('merge keeps attributes that are not named, and an empty value empties', async () => {
    const { report } = await door.put('id,email,name\n1,,Ann\n3,c@x.com,Cid\n');
    expect(report).toMatchObject({ received: 2, stored: 2, unchanged: 0 });
    expect(await door.profiles()).toEqual({
      1: { email: '', phone: '111', name: 'Ann' },
      2: { email: 'b@x.com', phone: '' },
      3: { email: 'c@x.com', name: 'Cid' },
    });
  });

  it('replace drops attributes that are not named, and touches nobody else', async () => {
    const { report } = await door.put('id,email\n1,a@x.com\n', { query: 'id=id&mode=replace' });
    expect(report).toMatchObject({ stored: 1, unchanged: 0 });
    expect(await door.profiles()).toEqual({ 1: { email: 'a@x.com' }, 2: { email: 'b@x.com', phone: '' } });
    expect(await door.attributes()).toEqual({ email: [2, 'a@x.com'], phone: [0, null] });
  });

  it('replace lets the later of two lines count alone', async () => {
    await door.putNdjson('{"id":"1","a":"x"}\n{"id":"1","b":"y"}\n', 'id=id&mode=replace');
    expect((await door.profiles())['1']).toEqual({ b: 'y' });
  });

  it.each(['merge', 'replace'])('%s counts lines that say nothing new as unchanged', async (mode) => {
    const { report } = await door.put('id,phone,email\n2,,b@x.com\n1,111,a@x.com\n', {
      query: `id=id&mode=${mode}`,
    });
    expect(report).toMatchObject({ received: 2, stored: 0, unchanged: 2 });
  });

  it('keeps count of filled values while they come and go, with an example', async () => {
    expect(await door.attributes()).toEqual({ email: [2, 'a@x.com'], phone: [1, '111'] });
    await door.put('id,phone\n1,\n');
    expect(await door.attributes()).toMatchObject({ phone: [0, null] });
    await door.put('id,phone\n2,222\n1,333\n');
    expect(await door.attributes()).toMatchObject({ phone: [2, '222'] });
  });

  it('cuts the example to 200 characters, never inside one', async () => {
    await door.put(`id,note\n1,${'x'.repeat(199)}😀\n`);
    expect((await door.attributes()).note).toEqual([1, 'x'.repeat(199)]);
  });

  it('two imports at once lose nothing of each other', async () => {
    const column = (name: string) =>
      `id,${name}\n${Array.from({ length: 8_000 }, (_, index) => `p${index},${name}${index}`).join('\n')}\n`;
    await Promise.all([door.put(column('a')), door.put(column('b'))]);
    expect(await door.attributes()).toMatchObject({ a: [8_000, 'a0'], b: [8_000, 'b0'] });
    expect((await door.profiles()).p7999).toEqual({ a: 'a7999', b: 'b7999' });
  });

  it('removing profiles takes them out of segments and figures, and out of the examples', async () => {
    await door.put('id,email\n1,a@x.com\n2,b@x.com\n', { query: 'id=id&segment=all' });
    expect(await removeProfiles(door.services, ACTOR, ['1', '1', 'nobody'])).toBe(1);
    expect(await door.profiles()).toEqual({ 2: { email: 'b@x.com', phone: '' } });
    expect(await door.members('all')).toEqual(['2']);
    expect(await door.attributes()).toEqual({ email: [1, 'b@x.com'], phone: [0, null] });
  });

  it('removes at most 1,000 profiles at a time', async () => {
    const ids = Array.from({ length: 1_001 }, (_, index) => `p${index}`);
    await expect(removeProfiles(door.services, ACTOR, ids)).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      field: 'ids',
    });
  });
});
