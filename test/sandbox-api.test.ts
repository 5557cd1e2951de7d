import { ask } from '../sandbox/ask.js';
import { type Sandbox, startSandbox } from '../sandbox/sandbox.js';

let now = 0;
let sandbox: Sandbox;

beforeEach(async () => {
  now = Date.UTC(2026, 2, 1, 12);
  const lists = [
    { id: 3, name: 'Newsletter' },
    { id: 5, name: 'Offers' },
  ];
  sandbox = await startSandbox({ now: () => now, quotas: false, account: 'acme', lists });
});

afterEach(async () => {
  await sandbox.close();
});

const get = async (path: string) => ask(sandbox, 'GET', path);

describe('the door', () => {
  it.each([
    ['a wrong key', { 'Api-Token': 'wrong' }],
    ['no key', {}],
  ])('answers 403 to %s, on known and unknown routes', async (_what, headers) => {
    for (const path of ['/users/me', '/import/bulk_import', '/nowhere']) {
      const answer = await ask(sandbox, 'GET', path, undefined, headers);
      expect(answer.status).toBe(403);
      expect(answer.json).toEqual({ message: 'Forbidden' });
    }
  });

  it('answers 404 to an unknown route, and to a known one called by another method', async () => {
    expect((await get('/nowhere')).status).toBe(404);
    expect((await ask(sandbox, 'PATCH', '/lists')).status).toBe(404);
  });

  it('redirects with HTML when it is called by a host name that is not the account’s', async () => {
    const strict = await startSandbox({ hosts: ['acme.api-us1.com'] });
    try {
      const answer = await ask(strict, 'GET', '/users/me');
      expect(answer.status).toBe(302);
      expect(answer.headers.get('location')).toMatch(/^https:/);
      expect(answer.headers.get('content-type')).toMatch(/^text\/html/);
    } finally {
      await strict.close();
    }
  });

  it('dates its answers by sandbox time', async () => {
    expect((await get('/users/me')).headers.get('date')).toBe(new Date(now).toUTCString());
  });
});

describe('who am I', () => {
  it('shows the user, with links on the account’s own host', async () => {
    const { status, json } = await get('/users/me');
    expect(status).toBe(200);
    expect(json).toMatchObject({
      user: {
        id: '1',
        email: 'admin@example.com',
        links: { lists: 'https://acme.api-us1.com/api/3/users/1/lists' },
      },
    });
  });

  it('shows the account with its limit and its contacts as numbers, to administrators only', async () => {
    sandbox.set({ subscriberLimit: 500 });
    sandbox.addContacts([{ email: 'a@x.org' }]);
    const answer = await get('/settings/account');
    expect(answer.json).toMatchObject({
      account: 'acme.api-us1.com',
      subscriber_limit: 500,
      subscriber_total: 1,
    });
    expect(answer.headers.get('cache-control')).toBe('private');
    sandbox.set({ canReadAccount: false });
    expect((await get('/settings/account')).status).toBe(403);
  });
});

describe('lists', () => {
  it('come in pages, with a total that is a text, and 52 keys, all texts or null but the links', async () => {
    const { json } = await get('/lists?limit=1&offset=1&search=ignored');
    const { lists, meta } = json as { lists: Record<string, unknown>[]; meta: unknown };
    expect(meta).toEqual({ total: '2' });
    expect(lists).toMatchObject([{ id: '5', name: 'Offers', cdate: '2026-03-01T07:00:00-05:00' }]);
    const { links, ...rest } = lists[0] ?? {};
    expect(Object.keys(rest)).toHaveLength(51);
    expect(Object.keys(links as object)).toEqual(['contactGoalLists', 'user', 'addressLists']);
    expect(Object.values(rest).every((value) => value === null || typeof value === 'string')).toBe(true);
  });

  it('can be found by name', async () => {
    const names = async (filter: string) =>
      ((await get(`/lists?${filter}`)).json as { lists: { name: string }[] }).lists.map(({ name }) => name);
    expect(await names('filters[name]=Offers')).toEqual(['Offers']);
    expect(await names('filters[name][contains]=news')).toEqual(['Newsletter']);
    expect(await names('filters[unknown]=Offers')).toEqual(['Newsletter', 'Offers']);
    expect(await names('orders[name]=desc')).toEqual(['Offers', 'Newsletter']);
  });

  it('are read one by one, or not found under a name with an underscore', async () => {
    expect((await get('/lists/3')).json).toMatchObject({ list: { id: '3', name: 'Newsletter' } });
    const missing = await get('/lists/7');
    expect(missing.status).toBe(404);
    expect(missing.json).toEqual({ message: 'No Result found for _List with id 7' });
  });

  it('are made with 201 and echo what was sent', async () => {
    const list = { name: 'New', stringid: 'new', sender_url: 'https://x.org', sender_reminder: 'You asked.' };
    const answer = await ask(sandbox, 'POST', '/lists', { list });
    expect(answer.status).toBe(201);
    expect(answer.json).toMatchObject({ list: { ...list, id: '6' } });
    expect((await ask(sandbox, 'POST', '/lists', { list: { name: 'New' } })).status).toBe(422);
  });

  it('are refused as text/plain to a user who may not see them', async () => {
    sandbox.set({ canReadLists: false });
    const answer = await get('/lists?limit=1');
    expect(answer.status).toBe(403);
    expect(answer.headers.get('content-type')).toBe('text/plain');
    expect(answer.json).toMatchObject({ errors: [{ status: 403, title: 'Forbidden' }] });
  });

  it('have exclusions, which refuse a filter that they do not know, and count in a number', async () => {
    sandbox.exclude('@bad.org', 'end', [3]);
    expect((await get('/lists/exclusions?filters[matchPhrase]=bad')).json).toEqual({
      exclusions: [
        { id: '1', matchPhrase: '@bad.org', matchType: 'end', channel: 'all', hidden: false, lists: ['3'] },
      ],
      meta: { total: 1 },
    });
    expect((await get('/lists/exclusions?filters[nothing]=1')).status).toBe(422);
    expect((await get('/lists/exclusions?orders[matchPhrase]=DASC')).status).toBe(422);
    expect((await get('/lists/exclusions/9')).json).toEqual({ message: 'Exclusion not found [id=9]' });
  });
});

describe('contacts', () => {
  it('are synchronised: 201 and a short record for a new one, 200 and a full record for an old one', async () => {
    const contact = { email: 'Ann@x.org', firstName: 'Ann', fieldValues: [{ field: '1', value: 'red' }] };
    const created = await ask(sandbox, 'POST', '/contact/sync', { contact });
    expect(created.status).toBe(201);
    expect(created.json).toMatchObject({
      fieldValues: [
        {
          contact: '1',
          field: '1',
          value: 'red',
          cdate: expect.stringMatching(/-05:00$/) as string,
          created_by: null,
          links: { owner: expect.stringContaining('/fieldValues/') as string },
          owner: '1',
        },
      ],
      contact: { id: '1', orgid: '', fieldValues: [expect.any(String)] },
    });
    const updated = await ask(sandbox, 'POST', '/contact/sync', {
      contact: { email: 'ann@x.org', lastName: 'Lee' },
    });
    expect(updated.status).toBe(200);
    expect(updated.json).toMatchObject({
      contact: { id: '1', orgid: '0', firstName: 'Ann', lastName: 'Lee' },
    });
    expect(sandbox.contactCount).toBe(1);
  });

  it('are not synchronised without an address or with a wrong one', async () => {
    expect((await ask(sandbox, 'POST', '/contact/sync', { contact: {} })).status).toBe(400);
    const wrong = await ask(sandbox, 'POST', '/contact/sync', { contact: { email: 'wrong' } });
    expect(wrong.status).toBe(422);
    expect(wrong.json).toMatchObject({ errors: [{ code: 'email_invalid' }] });
  });

  it('are created once, and a second time they are a duplicate, also by the plural /contacts/sync', async () => {
    const body = { contact: { email: 'a@x.org' } };
    expect((await ask(sandbox, 'POST', '/contacts', body)).status).toBe(201);
    for (const path of ['/contacts', '/contacts/sync']) {
      const again = await ask(sandbox, 'POST', path, body);
      expect(again.status).toBe(422);
      expect(again.json).toMatchObject({ errors: [{ code: 'duplicate' }] });
    }
  });

  it('are read, changed and deleted by id', async () => {
    sandbox.addContacts([{ email: 'a@x.org', lists: [3] }, { email: 'b@x.org' }]);
    expect((await get('/contacts/1')).json).toMatchObject({
      contactLists: [{ list: '3', status: '1' }],
      contact: { id: '1', email: 'a@x.org', bounced_hard: '0', organization: null },
    });
    const taken = await ask(sandbox, 'PUT', '/contacts/1', { contact: { email: 'B@x.org' } });
    expect(taken.status).toBe(422);
    const changed = await ask(sandbox, 'PUT', '/contacts/1', { contact: { email: 'c@x.org', phone: '1' } });
    expect(changed.json).toMatchObject({ contact: { id: '1', email: 'c@x.org', phone: '1' } });
    expect(sandbox.contact('a@x.org')).toBeUndefined();
    expect((await ask(sandbox, 'DELETE', '/contacts/1')).json).toEqual({});
    expect(sandbox.summary()).toMatchObject({ contacts: 1, lists: [{ active: 0 }, {}] });
    expect((await get('/contacts/1')).json).toEqual({ message: 'No Result found for Subscriber with id 1' });
    const gone = await ask(sandbox, 'DELETE', '/contacts/1');
    expect(gone.status).toBe(404);
    expect(gone.json).toEqual({ message: 'No result found for contact with id 1' });
  });

  it('are found by address, list and id; and a filter that is unknown finds everybody, newest first', async () => {
    sandbox.addContacts([
      { email: 'a@x.org', lists: [3] },
      { email: 'b@x.org', lists: [5] },
      { email: 'c@x.org', lists: [3] },
    ]);
    sandbox.unsubscribe('c@x.org', 3);
    const found = async (query: string) => {
      const { contacts, meta } = (await get(`/contacts?${query}`)).json as {
        contacts: { id: string }[];
        meta: { total: string };
      };
      return [contacts.map(({ id }) => id).join(), meta.total];
    };
    expect(await found('email=B@x.org')).toEqual(['2', '1']);
    expect(await found('email=nobody@x.org')).toEqual(['', '0']);
    expect(await found('listid=3&orders[id]=ASC')).toEqual(['1,3', '2']);
    expect(await found('listid=3&status=1')).toEqual(['1', '1']);
    expect(await found('orders[id]=ASC&id_greater=1&limit=1')).toEqual(['2', '2']);
    expect(await found('filters[email]=b@x.org')).toEqual(['3,2,1', '3']);
    expect(await found('limit=2&offset=1')).toEqual(['2,1', '3']);
  });
});

describe('memberships', () => {
  const post = async (contactList: object) => ask(sandbox, 'POST', '/contactLists', { contactList });

  it('are written as numbers and read back as texts', async () => {
    sandbox.addContacts([{ email: 'a@x.org' }]);
    const written = await post({ list: '3', contact: 1, status: 1, sourceid: 4 });
    expect(written.status).toBe(201);
    expect(written.json).toMatchObject({
      contacts: [{ id: '1' }],
      contactList: { list: '3', contact: '1', status: 1, sourceid: 4, udate: null },
    });
    expect((await get('/contacts/1/contactLists')).json).toMatchObject({
      contactLists: [
        { list: '3', contact: '1', status: '1', sourceid: '4', unsubreason: '', campaign: null },
      ],
    });
  });

  it('become active again by status 1, and the judge notes whether that overrode an opt-out', async () => {
    sandbox.addContacts([
      { email: 'a@x.org', lists: [3] },
      { email: 'b@x.org', lists: [3] },
    ]);
    now += 60_000;
    sandbox.unsubscribe('a@x.org', 3, { reason: 'enough' });
    await post({ list: 3, contact: 2, status: 2 });
    expect((await get('/contacts/1/contactLists')).json).toMatchObject({
      contactLists: [{ status: '2', unsubreason: 'enough', udate: '2026-03-01T07:01:00-05:00' }],
    });
    await post({ list: 3, contact: 1, status: 1 });
    await post({ list: 3, contact: 2, status: 1 });
    expect([...sandbox.members(3)]).toEqual(['a@x.org', 'b@x.org']);
    expect(sandbox.resubscriptions()).toMatchObject([
      { email: 'a@x.org', list: 3, overrodeOptOut: true },
      { email: 'b@x.org', list: 3, overrodeOptOut: false },
    ]);
    expect(sandbox.summary().invariants).toMatchObject({ resubscriptions: 2, overriddenOptOuts: 1 });
  });

  it('keep the record of an opt-out when somebody unsubscribes the person again', async () => {
    sandbox.addContacts([{ email: 'a@x.org', lists: [3] }]);
    sandbox.unsubscribe('a@x.org', 3, { reason: 'enough' });
    now += 60_000;
    await post({ list: 3, contact: 1, status: 2 });
    expect(sandbox.contact('a@x.org')?.lists).toMatchObject([
      { status: 2, unsubreason: 'enough', ownChoice: true },
    ]);
  });

  it('are read in pages of twenty, a hundred at most', async () => {
    const lists = Array.from({ length: 130 }, () => sandbox.addList({ name: 'More' }));
    sandbox.addContacts([{ email: 'a@x.org', lists }]);
    const read = async (query: string) => {
      const { contactLists } = (await get(`/contacts/1/contactLists${query}`)).json as {
        contactLists: { list: string }[];
      };
      return [contactLists.length, contactLists[0]?.list];
    };
    expect(await read('')).toEqual([20, String(lists[0])]);
    expect(await read('?limit=500')).toEqual([100, String(lists[0])]);
    expect(await read('?limit=100&offset=100')).toEqual([30, String(lists[100])]);
  });

  it('are refused for what does not exist and for a status that is none', async () => {
    sandbox.addContacts([{ email: 'a@x.org' }]);
    for (const wrong of [
      { list: 9, contact: 1, status: 1 },
      { list: 3, contact: 9, status: 1 },
      { list: 3, contact: 1, status: 7 },
    ]) {
      expect((await post(wrong)).status).toBe(422);
    }
  });
});
