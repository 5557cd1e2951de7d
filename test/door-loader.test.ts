import { createLoader } from '../src/schema/loader.js';

describe('a loader', () => {
  const asked: string[][] = [];
  const find = (ids: string[]) => {
    asked.push(ids);
    return Promise.resolve(new Map(ids.filter((id) => id !== 'unknown').map((id) => [id, { id }])));
  };
  beforeEach(() => asked.splice(0));

  it('looks up at once what is asked for in the same turn, each id once', async () => {
    const load = createLoader(find);
    const found = await Promise.all([load('a'), Promise.resolve().then(() => load('b')), load('a')]);
    expect(found).toEqual([{ id: 'a' }, { id: 'b' }, { id: 'a' }]);
    expect(asked).toEqual([['a', 'b']]);
  });

  it('remembers nothing, so that a long subscription sees what changed', async () => {
    const load = createLoader(find);
    await load('a');
    await load('a');
    expect(asked).toEqual([['a'], ['a']]);
  });

  it('answers null for an unknown id, and for none without asking', async () => {
    const load = createLoader(find);
    expect(await load('unknown')).toBeNull();
    expect(await load(null)).toBeNull();
    expect(asked).toEqual([['unknown']]);
  });

  it('fails for everybody who asked, and works again afterwards', async () => {
    let broken = true;
    const load = createLoader((ids) => (broken ? Promise.reject(new Error('no disk')) : find(ids)));
    const answers = await Promise.allSettled([load('a'), load('b')]);
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    broken = false;
    expect(await load('a')).toEqual({ id: 'a' });
  });
});
