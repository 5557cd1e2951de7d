import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WantedMember } from '../src/exports/mapping.js';
import { openSpill, type Spill } from '../src/exports/spill.js';

/** More than a chunk holds, so that several are merged, and more than a block of each. */
const MANY = 100_000;
const FIRST = 60_000;

const member = (emailKey: string, profileId = '1', wanted = `["${emailKey}","","",""]`): WantedMember => ({
  emailKey,
  profileId,
  wanted,
  filled: 0,
});

/** What comes out of a spill, page by page, after these were put in. */
async function sorted(...added: (readonly WantedMember[])[]): Promise<WantedMember[][]> {
  await using folder = await scratchFolder();
  await using spill = await openSpill(folder.path);
  for (const members of added) await spill.add(members);
  return await pagesOf(spill);
}

async function pagesOf(spill: Spill): Promise<WantedMember[][]> {
  const pages: WantedMember[][] = [];
  for await (const page of spill.pages()) pages.push(page);
  return pages;
}

async function scratchFolder(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'spill-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

const keys = (pages: readonly WantedMember[][]) => pages.flat().map(({ emailKey }) => emailKey);

/** The order of the database, by an independent way to it. */
const byBytes = (texts: readonly string[]) =>
  [...texts].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

/** The same numbers in an order that has nothing to do with their size: each once, for the step is odd. */
const shuffled = (count: number) => {
  const size = 2 ** Math.ceil(Math.log2(count));
  return Array.from({ length: size }, (_, n) => (n * 40_503 + 7) % size).filter((n) => n < count);
};

describe('a spill gives back members', () => {
  it('by address in the order of UTF-8 bytes, which JavaScript has not', async () => {
    const added = [
      '\u{1F600}@x.com',
      '\uFF5E@x.com',
      'z@x.com',
      'é@x.com',
      '\u{10000}@x.com',
      'a@x.com',
      'a',
      '',
    ];
    const found = keys(await sorted(added.map((key) => member(key))));
    expect(found).toEqual(byBytes(added));
    expect(found).not.toEqual([...added].sort());
  });

  it('of one address by profile id, in the same order, whatever order they came in', async () => {
    const ids = ['10', '9', '\u{1F600}', '\uFF5E', '1'];
    const [page = []] = await sorted(ids.map((id) => member('twin@x.com', id)));
    expect(page.map(({ profileId }) => profileId)).toEqual(byBytes(ids));
  });

  it('as they were, with line ends, quotes and commas in every text', async () => {
    const odd = member('a\nb@x.com', 'id\n,"1"', '["\\n\u2028","x,\\"y\\"",null,""]');
    expect(await sorted([odd])).toEqual([[odd]]);
  });

  it('nobody, if nobody was added', async () => {
    expect(keys(await sorted([]))).toEqual([]);
  });

  it('each once and in order, when they fill several chunks and many blocks', async () => {
    const all = shuffled(MANY).map((n) => member(`p${String(n).padStart(6, '0')}@x.com`, String(n)));
    const pages = await sorted(all.slice(0, FIRST), all.slice(FIRST));
    const found = keys(pages);
    expect(found).toHaveLength(MANY);
    expect(found.every((key, n) => key === `p${String(n).padStart(6, '0')}@x.com`)).toBe(true);
    // They were never all in memory again at once.
    expect(pages.length).toBeGreaterThan(10);
  });

  it('of one address one after the other, even when they come from several chunks and end up on several pages', async () => {
    const twins = shuffled(MANY).map((n) => member(`p${n % 3}@x.com`, String(n).padStart(6, '0')));
    const pages = await sorted(twins.slice(0, FIRST), twins.slice(FIRST));
    const found = pages.flat().map(({ emailKey, profileId }) => `${emailKey} ${profileId}`);
    expect(found).toHaveLength(MANY);
    expect(found.every((text, n) => n === 0 || (found[n - 1] ?? '') < text)).toBe(true);
    const spread = pages.filter((page) => page.some(({ emailKey }) => emailKey === 'p1@x.com'));
    expect(spread.length).toBeGreaterThan(1);
  });

  it('with lines that are longer than several blocks', async () => {
    const long = (key: string) => member(key, '1', JSON.stringify([key, 'ü'.repeat(200_000), '', '']));
    const found = (await sorted([long('c@x.com'), member('b@x.com'), long('a@x.com')])).flat();
    expect(found).toEqual([long('a@x.com'), member('b@x.com'), long('c@x.com')]);
  });
});

describe('the file of a spill', () => {
  it('is in no directory, from the start on', async () => {
    await using folder = await scratchFolder();
    await using spill = await openSpill(folder.path);
    expect(await readdir(folder.path)).toEqual([]);
    await spill.add(shuffled(FIRST).map((n) => member(`p${n}@x.com`)));
    expect(await readdir(folder.path)).toEqual([]);
    expect((await pagesOf(spill)).flat()).toHaveLength(FIRST);
  });
});
