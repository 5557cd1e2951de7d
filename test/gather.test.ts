import { gather } from '../src/gather.js';

/** Work that ends when it is told to, and notes what it was asked to do together. */
function gatedWork() {
  const groups: string[][] = [];
  const gates: PromiseWithResolvers<readonly string[]>[] = [];
  const work = (items: readonly string[]) => {
    groups.push([...items]);
    const gate = Promise.withResolvers<readonly string[]>();
    gates.push(gate);
    return gate.promise;
  };
  return { groups, gates, work };
}

const upper = (items: readonly string[]) => Promise.resolve(items.map((item) => item.toUpperCase()));

describe('what is asked for together', () => {
  it('is begun at once when nothing is under way, and done together when something is', async () => {
    const { groups, gates, work } = gatedWork();
    const ask = gather(work, 16);
    const first = ask('a');
    const others = [ask('b'), ask('c')];
    expect(groups).toEqual([['a']]);

    gates[0]?.resolve(['A']);
    expect(await first).toBe('A');
    expect(groups).toEqual([['a'], ['b', 'c']]);

    gates[1]?.resolve(['B', 'C']);
    expect(await Promise.all(others)).toEqual(['B', 'C']);
  });

  it('is cut into groups, in the order in which it came, and each hears its own answer', async () => {
    const groups: number[] = [];
    const ask = gather((items: readonly string[]) => {
      groups.push(items.length);
      return upper(items);
    }, 2);
    expect(await Promise.all(['a', 'b', 'c', 'd', 'e'].map(ask))).toEqual(['A', 'B', 'C', 'D', 'E']);
    expect(groups).toEqual([1, 2, 2]);
  });

  it('fails for everybody in the group, and for nobody else', async () => {
    const ask = gather((items: readonly string[]) => {
      return items.includes('b') ? Promise.reject(new Error('b is not wanted')) : upper(items);
    }, 2);
    expect(await Promise.allSettled(['a', 'b', 'c', 'd'].map(ask))).toMatchObject([
      { value: 'A' },
      { reason: { message: 'b is not wanted' } },
      { reason: { message: 'b is not wanted' } },
      { value: 'D' },
    ]);
  });

  it('may be asked for again after it failed, also when it threw before it began', async () => {
    let isBroken = true;
    const ask = gather((items: readonly string[]) => {
      if (isBroken) throw new Error('broken');
      return upper(items);
    }, 16);
    await expect(ask('a')).rejects.toThrow('broken');
    isBroken = false;
    expect(await ask('a')).toBe('A');
  });
});
