import { startSandbox } from '../sandbox/sandbox.js';
import { FixCredentialsError, RetryLaterError } from '../src/destinations/destination.js';
import { activeCampaignAt, errorOf, fakeTime, startStub } from './helpers/stub-destination.js';

describe('the lists of an account', () => {
  const open: { close(): Promise<void> }[] = [];

  afterEach(async () => {
    await Promise.all(open.splice(0).map((server) => server.close()));
  });

  async function atSandbox(lists: { id: number; name: string }[]) {
    const clock = fakeTime();
    const sandbox = await startSandbox({ lists, now: () => clock.now() });
    open.push(sandbox);
    const destination = activeCampaignAt([sandbox.host], { clock });
    const credentials = { host: sandbox.host, apiKey: sandbox.token };
    return {
      sandbox,
      lists: () => destination.lists(credentials),
      list: (id: string) => destination.list(credentials, id),
    };
  }

  async function atStub(lists: (offset: number) => unknown, answerToList: { status: number; body: unknown }) {
    const stub = await startStub(({ path }) => {
      if (path === '/users/me') return { body: { user: {} } };
      if (path.startsWith('/lists?')) return { body: lists(Number(/offset=(\d+)/.exec(path)?.[1])) };
      return answerToList;
    });
    open.push(stub);
    const destination = activeCampaignAt([stub.host]);
    const credentials = { host: stub.host, apiKey: 'key' };
    return {
      stub,
      lists: () => destination.lists(credentials),
      list: (id: string) => destination.list(credentials, id),
    };
  }

  const many = (count: number) =>
    Array.from({ length: count }, (_, n) => ({ id: n + 1, name: `List ${n + 1}` }));

  it.each([1, 100, 101, 650])('are all found when there are %d', async (count) => {
    const { lists, sandbox } = await atSandbox(many(count));
    const found = await lists();
    expect(found).toEqual(many(count).map(({ id, name }) => ({ id: String(id), name })));
    expect(sandbox.log.every(({ status }) => status === 200)).toBe(true);
  });

  it('are none in an empty account', async () => {
    const { lists } = await atStub(() => ({ lists: [], meta: { total: '0' } }), { status: 404, body: {} });
    await expect(lists()).resolves.toEqual([]);
  });

  it('are all found when the account cuts its pages short', async () => {
    const all = many(45);
    const { lists } = await atStub((offset) => ({ lists: all.slice(offset, offset + 20) }), {
      status: 404,
      body: {},
    });
    await expect(lists()).resolves.toHaveLength(45);
  });

  it('are found once when the account gives the same page for ever', async () => {
    const { lists, stub } = await atStub(() => ({ lists: many(3) }), { status: 404, body: {} });
    await expect(lists()).resolves.toHaveLength(3);
    expect(stub.calls).toHaveLength(2);
  });

  it('end after a hundred pages, whatever the account says', async () => {
    const { lists, stub } = await atStub((offset) => ({ lists: [{ id: offset + 1, name: 'More' }] }), {
      status: 404,
      body: {},
    });
    await expect(lists()).resolves.toHaveLength(100);
    expect(stub.calls).toHaveLength(100);
  });

  it.each([
    ['no lists', { hello: 'world' }],
    ['lists that are no list', { lists: {} }],
    ['a list without an id', { lists: [{ name: 'x' }] }],
    ['a list without a name', { lists: [{ id: '1' }] }],
    ['a web page', '<html></html>'],
  ])('are asked for again later after %s', async (_, body) => {
    const { lists } = await atStub(() => body, { status: 404, body: {} });
    expect(await errorOf(lists())).toBeInstanceOf(RetryLaterError);
  });

  it('are NO_LIST_PERMISSION to a user who may not see them', async () => {
    const { lists, list, sandbox } = await atSandbox(many(1));
    sandbox.set({ canReadLists: false, quotas: false });
    for (const call of [lists, () => list('1')]) {
      const error = await errorOf(call());
      expect(error).toBeInstanceOf(FixCredentialsError);
      expect(error).toMatchObject({ code: 'NO_LIST_PERMISSION' });
    }
  });

  it('survive a passing 403', async () => {
    const { lists, sandbox } = await atSandbox(many(2));
    sandbox.addFault({ on: 'lists', action: { type: 'answer', status: 403 } });
    await expect(lists()).resolves.toHaveLength(2);
  });

  describe('one by one', () => {
    it('are found by id', async () => {
      const { list } = await atSandbox(many(3));
      await expect(list('2')).resolves.toEqual({ id: '2', name: 'List 2' });
    });

    it('are undefined when there is none', async () => {
      const { list, sandbox } = await atSandbox(many(3));
      await expect(list('4')).resolves.toBeUndefined();
      sandbox.deleteList(3);
      await expect(list('3')).resolves.toBeUndefined();
    });

    it.each(['', 'x', '1/../2', '1?x=2', '-1'])('are undefined for %j, which is no id', async (id) => {
      const { list, sandbox } = await atSandbox(many(3));
      await expect(list(id)).resolves.toBeUndefined();
      expect(sandbox.log).toEqual([]);
    });

    it.each([
      [
        '403, as some routes answer for what is not there',
        { status: 403, body: { message: 'No Result found' } },
      ],
      ['a 404 that is a web page', { status: 404, body: '<html></html>' }],
      ['another list', { status: 200, body: { list: { id: '1', name: 'List 1' } } }],
    ])('are looked for among all after %s', async (_, answer) => {
      const { list } = await atStub((offset) => ({ lists: many(3).slice(offset) }), answer);
      await expect(list('2')).resolves.toEqual({ id: '2', name: 'List 2' });
      await expect(list('4')).resolves.toBeUndefined();
    });
  });
});
