import { compareUtf8 } from '../src/bulk-sql.js';
import type { Profile } from '../src/entities/profile.js';
import { SegmentGeneration, Segment } from '../src/entities/segment.js';
import { countMembers, memberPages } from '../src/profiles/members.js';
import { ImportDoor } from './helpers/import-door.js';

describe('reading the members of segments', () => {
  let door: ImportDoor;
  beforeEach(async () => {
    door = await ImportDoor.open();
  });
  afterEach(async () => {
    await door[Symbol.asyncDispose]();
  });

  const fill = async (segment: string, ids: readonly string[]): Promise<number> => {
    const body = ids.map((id) => JSON.stringify({ id, a: `of ${id}` })).join('\n');
    await door.putNdjson(body, `id=id&segment=${segment}`);
    const found = await door.database.reader.findOneByOrFail(Segment, { name: segment });
    return found.generation ?? NaN;
  };
  const readPages = async (generations: number[], size: number): Promise<Profile[][]> => {
    const pages: Profile[][] = [];
    for await (const page of memberPages(door.database.reader, generations, size)) pages.push(page);
    return pages;
  };
  const pagesOfIds = async (generations: number[], size: number): Promise<string[][]> =>
    (await readPages(generations, size)).map((page) => page.map((profile) => profile.id));

  it('gives each profile of the union once, by id in UTF-8 order, in pages of the size', async () => {
    const ids = ['b', 'a', 'Z', 'é', '😀', '\uffee', 'a b', '10', '9'];
    const one = await fill('one', ids);
    const two = await fill('two', ['a', 'c', '😀']);
    const union = [...new Set([...ids, 'c'])].sort(compareUtf8);
    for (const size of [1, 2, 3, 10, 100]) {
      const read = await pagesOfIds([one, two], size);
      expect(read.flat()).toEqual(union);
      expect(read.slice(0, -1).every((page) => page.length === size)).toBe(true);
    }
    expect(await countMembers(door.database.reader, [one, two])).toBe(union.length);
    expect(await countMembers(door.database.reader, [two])).toBe(3);
  });

  it('gives the attributes as they are now', async () => {
    const generation = await fill('one', ['1']);
    await door.put('id,b\n1,new\n');
    const [page] = await readPages([generation], 10);
    expect(page).toEqual([{ id: '1', attributes: { a: 'of 1', b: 'new' } }]);
  });

  it('gives nothing for no generations and for an empty one', async () => {
    const { id } = await door.database.transact(({ manager }) =>
      manager.save(SegmentGeneration, { segmentId: null, aliveAt: new Date(0) }),
    );
    expect(await pagesOfIds([], 10)).toEqual([]);
    expect(await pagesOfIds([id], 10)).toEqual([]);
    expect(await countMembers(door.database.reader, [])).toBe(0);
  });

  it('passes over members whose profile is gone, and goes on behind them', async () => {
    const generation = await fill('one', ['1', '2', '3', '4', '5']);
    await door.database.transact(({ manager }) =>
      manager.query(`DELETE FROM "profiles" WHERE "id" IN ('2', '3', '4')`),
    );
    expect(await pagesOfIds([generation], 2)).toEqual([['1'], ['5']]);
  });

  it('can be left in the middle', async () => {
    const generation = await fill('one', ['1', '2', '3']);
    for await (const page of memberPages(door.database.reader, [generation], 1)) {
      expect(page).toHaveLength(1);
      break;
    }
    expect(await countMembers(door.database.reader, [generation])).toBe(3);
  });

  it('counts more members than one statement counts', async () => {
    const generation = await fill(
      'one',
      Array.from({ length: 45_000 }, (_, index) => `p${index}`),
    );
    expect(await countMembers(door.database.reader, [generation])).toBe(45_000);
  });
});
