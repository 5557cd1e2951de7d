import { dialectOf } from '../src/bulk-sql.js';
import {
  addMembers,
  beginGeneration,
  removeAbandonedGenerations,
  removeSupersededGenerations,
} from '../src/profiles/generations.js';
import { swapGeneration } from '../src/profiles/swap.js';
import { ImportDoor } from './helpers/import-door.js';

describe('an import into a segment', () => {
  let door: ImportDoor;
  const put = (body: string) => door.put(body, { query: 'id=id&segment=all' });

  beforeEach(async () => {
    door = await ImportDoor.open();
  });
  afterEach(async () => {
    await door[Symbol.asyncDispose]();
  });

  it('makes the segment, and makes it hold exactly the profiles of the file', async () => {
    await door.put('id,a\n0,x\n');
    const { report } = await put('id,a\n1,x\n2,y\n1,z\n');
    expect(report).toMatchObject({ received: 3, removed: 0 });
    expect(await door.members('all')).toEqual(['1', '2']);
  });

  it('counts who left, and deletes nobody', async () => {
    await put('id,a\n1,x\n2,y\n3,z\n');
    const { report } = await put('id,a\n3,z\n4,q\n');
    expect(report).toEqual({
      received: 2,
      stored: 1,
      unchanged: 1,
      rejected: 0,
      removed: 2,
      errors: [],
      warnings: [],
    });
    expect(await door.members('all')).toEqual(['3', '4']);
    expect(Object.keys(await door.profiles())).toEqual(['1', '2', '3', '4']);
  });

  it('a rejected line whose id is readable keeps its membership, and makes nobody a member', async () => {
    await put('id,a,b\nfew,x,y\nquote,x,y\nbytes,x,y\nlong,x,y\nleaver,x,y\n');
    const { report } = await door.put(
      Buffer.from(
        `id,a,b\nfew,x,y,z\nquote,"x"x,y\nbytes,\xe9,y\nlong,x,${'y'.repeat(10_001)}\nstranger,x,y,z\n,x,y\nnew,x,y\n`,
        'latin1',
      ),
      { query: 'id=id&segment=all' },
    );
    expect(report).toMatchObject({ received: 7, stored: 1, rejected: 6, removed: 1 });
    expect(await door.members('all')).toEqual(['bytes', 'few', 'long', 'new', 'quote']);
  });

  it('a rejected line of NDJSON keeps its membership, also when the id stands behind the fault', async () => {
    await put('id,a\n1,x\n2,x\n');
    await door.putNdjson('{"a":{},"id":"1"}\n{"id":"3"}\n', 'id=id&segment=all');
    expect(await door.members('all')).toEqual(['1', '3']);
  });

  it('shows the old members until the body has arrived whole', async () => {
    await put('id,a\n1,x\n');
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const importing = door.put(readable, { query: 'id=id&segment=all' });
    const writer = writable.getWriter();
    const rows = Array.from({ length: 4_000 }, (_, index) => `p${index},x\n`);
    await writer.write(new TextEncoder().encode(`id,a\n${rows.join('')}`));
    while (Object.keys(await door.profiles()).length === 1) await new Promise(setImmediate);
    expect(await door.members('all')).toEqual(['1']);
    await writer.close();
    await importing;
    expect(await door.members('all')).toHaveLength(4_000);
  });

  it('two imports into one segment at once: it holds one of the files, whole, and nothing is left over', async () => {
    const file = (prefix: string) =>
      `id,a\n${Array.from({ length: 7_000 }, (_, index) => `${prefix}${index},x`).join('\n')}\n`;
    await Promise.all([put(file('a')), put(file('b'))]);
    const members = (await door.members('all')) ?? [];
    expect(members).toHaveLength(7_000);
    expect(new Set(members.map((id) => id.charAt(0))).size).toBe(1);
    expect((await door.generations()).rows).toHaveLength(1);
  });

  it('counts who left against what the segment was at that moment, when two swap at once', async () => {
    await put('id,a\nold,x\n');
    const fill = async (ids: string[]): Promise<number> => {
      const generation = await beginGeneration(door.services);
      await door.database.transact(({ manager }) => addMembers(manager, generation, JSON.stringify(ids)));
      return generation;
    };
    const filled = [await fill(['1', '2']), await fill(['3', '4'])];
    const removed = await Promise.all(
      filled.map((generation) => swapGeneration(door.services, { name: 'all', generation })),
    );
    expect(removed.sort()).toEqual([1, 2]);
  });

  it('keeps the members that a run still reads, and removes them once it does not', async () => {
    await put('id,a\n1,x\n');
    door.pinned = (await door.generations()).rows;
    await put('id,a\n2,x\n');
    expect((await door.generations()).members).toHaveLength(2);
    door.pinned = [];
    await removeSupersededGenerations(door.services);
    expect((await door.generations()).members).toHaveLength(1);
    expect(await door.members('all')).toEqual(['2']);
  });

  it('removes at the start what a killed import has left half filled', async () => {
    await put('id,a\n1,x\n');
    const before = await door.generations();
    await door.database.transact(async ({ manager }) => {
      const ids = Array.from({ length: 45_000 }, (_, index) => `p${index}`);
      await manager.query(
        `INSERT INTO "segment_generations" ("createdAt") VALUES ('2026-01-01T00:00:00.000Z')`,
      );
      await manager.query(
        `INSERT INTO "segment_members" SELECT (SELECT MAX("id") FROM "segment_generations"), value
         FROM ${dialectOf(manager).list('$1')} AS "ids"`,
        [JSON.stringify(ids)],
      );
    });
    await removeAbandonedGenerations(door.services);
    expect(await door.generations()).toEqual(before);
    expect(await door.members('all')).toEqual(['1']);
  });

  it('a file of a header alone empties the segment', async () => {
    await put('id,a\n1,x\n');
    const { report } = await put('id,a\n');
    expect(report).toMatchObject({ received: 0, removed: 1 });
    expect(await door.members('all')).toEqual([]);
  });

  it('names are trimmed, and the segment keeps its state', async () => {
    await put('id,a\n1,x\n');
    await door.database.transact(({ manager }) =>
      manager.query(`UPDATE "segments" SET "state" = 'INACTIVE'`),
    );
    await door.put('id,a\n2,x\n', { query: 'id=id&segment=+all+' });
    expect(await door.members('all')).toEqual(['2']);
    expect(await door.database.reader.query('SELECT "name", "state" FROM "segments"')).toEqual([
      { name: 'all', state: 'INACTIVE' },
    ]);
  });
});
