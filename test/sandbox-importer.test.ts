import { createServer } from 'node:http';
import { once } from 'node:events';
import { ask } from '../sandbox/ask.js';
import { type Sandbox, type SandboxOptions, startSandbox } from '../sandbox/sandbox.js';

const IMPORT = '/import/bulk_import';
let now = 1_700_000_000_000;
const started: Sandbox[] = [];

async function sandboxWith(options: SandboxOptions = {}): Promise<Sandbox> {
  const lists = [
    { id: 1, name: 'Newsletter' },
    { id: 2, name: 'Offers' },
  ];
  const sandbox = await startSandbox({ now: () => now, lists, quotas: false, ...options });
  started.push(sandbox);
  return sandbox;
}

/** Imports and lets the clock pass the end. @returns what /import/info says then */
async function imported(sandbox: Sandbox, contacts: object[], rest: object = {}): Promise<unknown> {
  const { json } = await ask(sandbox, 'POST', IMPORT, { contacts, ...rest });
  const { batchId } = json as { batchId: string };
  now += 6_000;
  return (await ask(sandbox, 'GET', `/import/info?batchId=${batchId}`)).json;
}

afterEach(async () => {
  await Promise.all(started.splice(0).map((sandbox) => sandbox.close()));
});

describe('the importer takes or refuses a batch as a whole', () => {
  it('answers JSON as text/html with a lower-case success, as recorded', async () => {
    const sandbox = await sandboxWith();
    const answer = await ask(sandbox, 'POST', IMPORT, {
      contacts: [{ email: 'a@x.org' }, { email: 'b@x.org' }],
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('text/html; charset=UTF-8');
    expect(answer.json).toEqual({
      success: 1,
      queued_contacts: 2,
      batchId: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      message: 'Contact import queued',
    });
  });

  it('answers as documented when told to', async () => {
    const sandbox = await sandboxWith({ answers: 'documented' });
    const taken = await ask(sandbox, 'POST', IMPORT, { contacts: [{ email: 'a@x.org' }] });
    expect(taken.headers.get('content-type')).toBe('application/json');
    expect(taken.json).toMatchObject({ Success: 1 });
    const refused = await ask(sandbox, 'POST', IMPORT, { contacts: [{ email: 'a' }] });
    expect(refused.json).toMatchObject({
      failureReasons: [{ contact: 1, failureReason: 'Field‘ email’ incorrect format' }],
    });
  });

  it('refuses all for one bad contact, names each by its place from 1, and stores nobody', async () => {
    const sandbox = await sandboxWith();
    const contacts = [{ email: 'good@x.org' }, { first_name: 'No address' }, { email: 'bad@x' }];
    const answer = await ask(sandbox, 'POST', IMPORT, { contacts });
    expect(answer.status).toBe(400);
    expect(answer.json).toEqual({
      success: 0,
      message:
        'JSON payload did not pass validation. Please fix failureReasons and retry. The import was not queued for processing.',
      failureReasons: [
        { contact: 2, failureReason: "Field 'email' not found" },
        { contact: 3, failureReason: "Field 'email' incorrect format" },
      ],
    });
    now += 60_000;
    expect(sandbox.contactCount).toBe(0);
    expect(sandbox.refusedBatches()).toMatchObject([{ contacts: 3, blamed: ['bad@x'] }]);
  });

  it('keeps on record who was alone in a batch that was refused in words', async () => {
    const sandbox = await sandboxWith();
    sandbox.refuseAddresses({ matching: /^bad/, how: 'unnamed', reason: 'No' });
    const contacts = [{ email: 'good@x.org' }, { email: 'bad@x.org' }];
    await ask(sandbox, 'POST', IMPORT, { contacts });
    await ask(sandbox, 'POST', IMPORT, { contacts: contacts.slice(1) });
    expect(sandbox.refusedBatches().map(({ blamed }) => blamed)).toEqual([[], ['bad@x.org']]);
  });

  it.each([
    'no-at.org',
    '@x.org',
    'a@x',
    'a@x.c',
    'a@x.c1',
    'a b@x.org',
    'a(b@x.org',
    'a,b@x.org',
    'a@b@x.org',
    'a[b@x.org',
    '',
  ])('refuses the address "%s"', async (email) => {
    const sandbox = await sandboxWith();
    expect((await ask(sandbox, 'POST', IMPORT, { contacts: [{ email }] })).status).toBe(400);
  });

  it.each(['a@x.org', 'jürgen@müller.de', 'a+b@x.co.uk', "o'neil@x.org", 'a.b_c-d@x.museum'])(
    'takes the address %s',
    async (email) => {
      const sandbox = await sandboxWith();
      expect((await ask(sandbox, 'POST', IMPORT, { contacts: [{ email }] })).status).toBe(200);
    },
  );

  it('takes 250 contacts and refuses 251', async () => {
    const sandbox = await sandboxWith();
    const contacts = Array.from({ length: 251 }, (_, index) => ({ email: `p${index}@x.org` }));
    expect((await ask(sandbox, 'POST', IMPORT, { contacts: contacts.slice(1) })).status).toBe(200);
    const answer = await ask(sandbox, 'POST', IMPORT, { contacts });
    expect(answer.status).toBe(400);
    expect((answer.json as { failureReasons: unknown[] }).failureReasons[0]).toEqual(expect.any(String));
  });

  it('takes 399,999 bytes and refuses 400,000', async () => {
    const sandbox = await sandboxWith();
    const frame = JSON.stringify({ contacts: [{ email: 'a@x.org', phone: '' }] });
    const ofBytes = (bytes: number) =>
      JSON.stringify({ contacts: [{ email: 'a@x.org', phone: '1'.repeat(bytes - frame.length) }] });
    expect((await ask(sandbox, 'POST', IMPORT, ofBytes(399_999))).status).toBe(200);
    expect((await ask(sandbox, 'POST', IMPORT, ofBytes(400_000))).status).toBe(400);
  });

  it.each(['{"contacts":[', '[]', '{}', '{"contacts":[]}', ''])(
    'refuses the body %s with reasons in words',
    async (body) => {
      const sandbox = await sandboxWith();
      const answer = await ask(sandbox, 'POST', IMPORT, body);
      expect(answer.status).toBe(400);
      expect(answer.json).toMatchObject({ success: 0, failureReasons: [expect.any(String)] });
    },
  );

  it('can be told to refuse a list that does not exist, to fail its contacts, or to pass it over', async () => {
    const contacts = [{ email: 'a@x.org', subscribe: [{ listid: 99 }] }];
    const refusing = await sandboxWith({ unknownList: 'refused' });
    expect((await ask(refusing, 'POST', IMPORT, { contacts })).status).toBe(400);
    expect(await imported(await sandboxWith({ unknownList: 'fails' }), contacts)).toMatchObject({
      failure: ['a@x.org'],
    });
    const ignoring = await sandboxWith();
    expect(await imported(ignoring, contacts)).toMatchObject({ failure: [] });
    expect(ignoring.contact('a@x.org')?.lists).toEqual([]);
  });
});

describe('the importer writes contacts', () => {
  it('folds ASCII letters alone, and knows a domain in its own script and in ASCII', async () => {
    const sandbox = await sandboxWith();
    const kates = ['\u212Aate@x.org', 'kate@x.org', 'É@x.org', 'é@x.org', 'max@xn--bcher-kva.example'];
    expect(
      await imported(
        sandbox,
        kates.map((email) => ({ email })),
      ),
    ).toMatchObject({ failure: [] });
    expect(sandbox.contactCount).toBe(kates.length);
    for (const email of kates) expect(sandbox.contact(email)?.email).toBe(email);
    expect(sandbox.contact('Max@BÜCHER.example')?.email).toBe('max@xn--bcher-kva.example');
  });

  it('fails a domain in another script later, and can spell failures in its own way', async () => {
    const sandbox = await sandboxWith();
    const contacts = [{ email: 'Max@bücher.example' }, { email: 'ann@x.org' }];
    expect(await imported(sandbox, contacts)).toMatchObject({ failure: ['Max@bücher.example'] });
    sandbox.set({ failureSpelling: 'lower-case' });
    expect(await imported(sandbox, contacts)).toMatchObject({ failure: ['max@bücher.example'] });
    sandbox.set({ unicodeDomains: 'imported' });
    expect(await imported(sandbox, contacts)).toMatchObject({ failure: [] });
    expect(sandbox.contact('max@xn--bcher-kva.example')?.email).toBe('Max@bücher.example');
  });

  it('knows an address in any case, keeps what is not sent and clears what is sent empty', async () => {
    const sandbox = await sandboxWith();
    const fields = [
      { id: 1, value: 'red' },
      { id: '2', value: 'blue' },
    ];
    await imported(sandbox, [
      { email: 'Ann@x.org', first_name: 'Ann', last_name: 'Lee', phone: '1', fields, tags: ['vip'] },
    ]);
    await imported(sandbox, [
      {
        email: 'ann@X.org',
        first_name: '',
        fields: [{ id: 2, value: '' }],
        tags: ['new', 'vip'],
        firstName: 'Ignored',
      },
    ]);
    expect(sandbox.contactCount).toBe(1);
    expect(sandbox.contact('ANN@x.org')).toMatchObject({
      email: 'Ann@x.org',
      firstName: '',
      lastName: 'Lee',
      phone: '1',
      fields: { 1: 'red', 2: '' },
      tags: ['vip', 'new'],
      imports: 2,
    });
  });

  it('takes list ids as numbers and as texts', async () => {
    const sandbox = await sandboxWith();
    await imported(sandbox, [{ email: 'a@x.org', subscribe: [{ listid: 1 }, { listid: '2' }] }]);
    expect([...sandbox.members(1)]).toEqual(['a@x.org']);
    expect([...sandbox.members(2)]).toEqual(['a@x.org']);
    await imported(sandbox, [{ email: 'a@x.org', unsubscribe: [{ listid: '2' }] }]);
    expect([...sandbox.members(2)]).toEqual([]);
    expect([...sandbox.members(2, 2)]).toEqual(['a@x.org']);
    expect(sandbox.summary().lists).toMatchObject([{ active: 1 }, { active: 0, total: 1 }]);
  });

  it('starts automations unless they are excluded, for the batch or for one contact', async () => {
    const sandbox = await sandboxWith();
    await imported(sandbox, [{ email: 'a@x.org' }, { email: 'b@x.org', exclude_automations: true }]);
    await imported(sandbox, [{ email: 'a@x.org' }, { email: 'b@x.org' }], { exclude_automations: true });
    expect(sandbox.contact('a@x.org')?.automations).toBe(1);
    expect(sandbox.contact('b@x.org')?.automations).toBe(0);
  });

  it('links an account by its name, and shows it on the contact', async () => {
    const sandbox = await sandboxWith();
    await imported(sandbox, [{ email: 'a@x.org', customer_acct_name: 'ActiveCampaign' }]);
    const { json } = await ask(sandbox, 'GET', '/contacts/1');
    expect(json).toMatchObject({ contact: { orgname: 'ActiveCampaign', orgid: '1' } });
  });
});

describe('the importer fails contacts later, and says only their addresses', () => {
  it('fails excluded, bounced and apostrophised addresses, and imports the rest', async () => {
    const sandbox = await sandboxWith();
    sandbox.exclude('exact@x.org');
    sandbox.exclude('begin', 'begin');
    sandbox.exclude('@bad.org', 'end');
    sandbox.exclude('two@x.org', 'exact', [2]);
    sandbox.bounce('Bounced@x.org');
    const contacts = [
      'Exact@x.org',
      'begin-here@x.org',
      'a@bad.org',
      'bounced@x.org',
      "o'neil@x.org",
      'good@x.org',
      'two@x.org',
    ].map((email) => ({ email, subscribe: [{ listid: 1 }] }));
    expect(await imported(sandbox, contacts)).toEqual({
      status: 'completed',
      success: ['1', '2'],
      failure: ['Exact@x.org', 'begin-here@x.org', 'a@bad.org', 'bounced@x.org', "o'neil@x.org"],
    });
    expect([...sandbox.members(1)]).toEqual(['good@x.org', 'two@x.org']);
    expect(sandbox.processed('exact@x.org')).toEqual({ imported: 0, failed: 1 });
    const second = await imported(sandbox, [{ email: 'two@x.org', subscribe: [{ listid: 2 }] }]);
    expect(second).toMatchObject({ failure: ['two@x.org'] });
  });

  it('never subscribes again who unsubscribed, and by default leaves the whole contact alone', async () => {
    const sandbox = await sandboxWith();
    sandbox.addContacts([{ email: 'a@x.org', firstName: 'Old', lists: [1] }]);
    sandbox.unsubscribe('a@x.org', 1, { reason: 'too many', campaign: '7' });
    const contact = { email: 'a@x.org', first_name: 'New', subscribe: [{ listid: 1 }, { listid: 2 }] };
    expect(await imported(sandbox, [contact])).toMatchObject({ failure: ['a@x.org'] });
    expect(sandbox.contact('a@x.org')).toMatchObject({
      firstName: 'Old',
      lists: [{ list: 1, status: 2, unsubreason: 'too many', campaign: '7', ownChoice: true }],
    });
  });

  it('unsubscribes at the end of the batch, without a reason, and leaves the record of an opt-out alone', async () => {
    const sandbox = await sandboxWith();
    sandbox.addContacts([
      { email: 'a@x.org', firstName: 'Ann', lists: [1, 2] },
      { email: 'b@x.org', lists: [1] },
    ]);
    sandbox.unsubscribe('b@x.org', 1, { reason: 'too many', campaign: '7' });
    const optOut = sandbox.contact('b@x.org')?.lists;
    now += 60_000;
    const acceptedAt = now;
    const off = ['a@x.org', 'b@x.org', 'c@x.org'].map((email) => ({ email, unsubscribe: [{ listid: 1 }] }));
    expect(await imported(sandbox, off)).toMatchObject({ status: 'completed', failure: [] });
    const { firstName, lists } = sandbox.contact('a@x.org') ?? {};
    expect(firstName).toBe('Ann');
    expect(lists).toMatchObject([
      { status: 2, unsubreason: '', campaign: null, ownChoice: false },
      { status: 1 },
    ]);
    expect(Date.parse(lists?.[0]?.udate ?? '')).toBe(Math.floor((acceptedAt + 6_000) / 1_000) * 1_000);
    expect(sandbox.contact('b@x.org')?.lists).toEqual(optOut);
    // One that was unknown is made, as by any import.
    expect(sandbox.contact('c@x.org')?.lists).toMatchObject([{ list: 1, status: 2, ownChoice: false }]);
  });

  it('can be told that a former unsubscribe costs the list only', async () => {
    const sandbox = await sandboxWith({ priorUnsubscribe: 'list' });
    sandbox.addContacts([{ email: 'a@x.org', firstName: 'Old', lists: [1] }]);
    sandbox.unsubscribe('a@x.org', 1);
    const contact = { email: 'a@x.org', first_name: 'New', subscribe: [{ listid: 1 }, { listid: 2 }] };
    expect(await imported(sandbox, [contact])).toMatchObject({ failure: ['a@x.org'] });
    expect(sandbox.contact('a@x.org')).toMatchObject({
      firstName: 'New',
      lists: [
        { list: 1, status: 2 },
        { list: 2, status: 1 },
      ],
    });
  });

  it('fails new contacts above the limit of the account, and still changes old ones', async () => {
    const sandbox = await sandboxWith({ subscriberLimit: 2 });
    sandbox.addContacts([{ email: 'old@x.org' }]);
    const contacts = ['new@x.org', 'more@x.org', 'old@x.org'].map((email) => ({ email, phone: '5' }));
    expect(await imported(sandbox, contacts)).toMatchObject({ success: ['2', '1'], failure: ['more@x.org'] });
    expect(sandbox.contact('old@x.org')?.phone).toBe('5');
  });

  it('lists the ids of created contacts only, when told to', async () => {
    const sandbox = await sandboxWith({ successIds: 'created' });
    sandbox.addContacts([{ email: 'old@x.org' }]);
    const contacts = [{ email: 'old@x.org' }, { email: 'new@x.org' }];
    expect(await imported(sandbox, contacts)).toMatchObject({ success: ['2'], failure: [] });
  });
});

describe('the callback', () => {
  /** A receiver that keeps the first request it gets. */
  async function receiver() {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const received = new Promise<{ line: string; secret: unknown; body: string }>((resolve) => {
      server.once('request', (request, response) => {
        let body = '';
        request.on('data', (chunk: Buffer) => (body += chunk.toString()));
        request.on('end', () => {
          response.end();
          server.close();
          resolve({ line: `${request.method} ${request.url}`, secret: request.headers['x-secret'], body });
        });
      });
    });
    return { url: `http://127.0.0.1:${port}/done`, received };
  }

  it('is called once the batch has ended, with params, headers and results', async () => {
    const sandbox = await sandboxWith();
    const { url, received } = await receiver();
    await imported(sandbox, [{ email: 'a@x.org' }, { email: "o'b@x.org" }], {
      callback: {
        url,
        requestType: 'POST',
        detailed_results: 'true',
        params: [{ key: 'run', value: '7' }],
        headers: [{ key: 'X-Secret', value: 's' }],
      },
    });
    const { line, secret, body } = await received;
    expect(line).toBe('POST /done');
    expect(secret).toBe('s');
    expect(JSON.parse(body)).toEqual({
      run: '7',
      success: 1,
      failure: 1,
      errors: ["o'b@x.org could not be imported"],
    });
  });

  it('carries params in the query when it is a GET', async () => {
    const sandbox = await sandboxWith();
    const { url, received } = await receiver();
    const callback = { url, requestType: 'GET', params: [{ key: 'run', value: '7' }] };
    await imported(sandbox, [{ email: 'a@x.org' }], { callback });
    expect((await received).line).toBe('GET /done?run=7');
  });

  it('never leaves this machine, and an empty one is none', async () => {
    const sandbox = await sandboxWith();
    await imported(sandbox, [{ email: 'a@x.org' }], {
      callback: { url: 'http://192.0.2.1/x', requestType: 'GET' },
    });
    await imported(sandbox, [{ email: 'a@x.org' }], { callback: {} });
    expect(sandbox.callbacks()).toMatchObject([{ url: 'http://192.0.2.1/x', called: false }]);
  });
});
