import { ask } from '../sandbox/ask.js';
import { type Sandbox, startSandbox } from '../sandbox/sandbox.js';

const IMPORT = '/import/bulk_import';
let now = 1_700_000_000_000;
let sandbox: Sandbox;

beforeEach(async () => {
  sandbox = await startSandbox({ now: () => now, quotas: false });
});

afterEach(async () => {
  await sandbox.close();
});

/** A call to /sandbox: other processes have no key. */
const control = async (method: string, path: string, body?: unknown) =>
  ask(sandbox, method, `/sandbox${path}`, body, {});

const lines = (text: string) =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as unknown);

async function importAll(...emails: string[]): Promise<void> {
  const contacts = emails.map((email) => ({ email, subscribe: [{ listid: 1 }] }));
  await ask(sandbox, 'POST', IMPORT, { contacts });
  now += 6_000;
}

describe('another process reads', () => {
  it('the state in figures, without a key and outside the log', async () => {
    await importAll('a@x.org', 'b@x.org');
    expect((await control('GET', '/state')).json).toMatchObject({
      contacts: 2,
      lists: [{ id: 1, name: 'Newsletter', active: 2, total: 2 }],
      batches: { total: 1, completed: 1, undecided: 0, contacts: 2 },
      calls: 1,
      invariants: { overlaps: 0, quotaRefusals: { minute: 0 } },
      settings: { processingMs: 6_000 },
    });
  });

  it('all contacts, one a line, as the same that is read in process', async () => {
    const emails = Array.from({ length: 1_203 }, (_, index) => `p${index}@x.org`);
    sandbox.addContacts(emails.map((email) => ({ email, firstName: 'P', fields: { 7: 'x' }, lists: [1] })));
    const answer = await control('GET', '/contacts');
    expect(answer.headers.get('content-type')).toBe('application/x-ndjson');
    expect(lines(answer.text)).toEqual([...sandbox.contacts()]);
    expect(lines(answer.text)).toHaveLength(1_203);
    expect((await control('GET', '/contacts?email=P5@x.org')).json).toEqual(sandbox.contact('p5@x.org'));
    expect((await control('GET', '/contacts?email=nobody@x.org')).status).toBe(400);
  });

  it('the log from where it left off, the batches, the refused ones and the invariants', async () => {
    sandbox.set({ keepBodies: true });
    await importAll('a@x.org');
    await importAll('wrong');
    expect(lines((await control('GET', '/log')).text)).toMatchObject([
      {
        seq: 1,
        kind: 'importer',
        status: 200,
        contacts: 1,
        body: expect.stringContaining('a@x.org') as string,
      },
      { seq: 2, kind: 'importer', status: 400, contacts: 1 },
    ]);
    expect(lines((await control('GET', '/log?after=1')).text)).toMatchObject([{ seq: 2 }]);
    expect(lines((await control('GET', '/batches')).text)).toMatchObject([
      { contacts: 1, status: 'completed' },
    ]);
    expect((await control('GET', '/refused')).json).toMatchObject({ refused: [{ contacts: 1 }] });
    expect((await control('GET', '/invariants')).json).toMatchObject({
      overlapList: [],
      resubscriptionList: [],
    });
    expect((await control('GET', '/processed?email=a@x.org')).json).toEqual({ imported: 1, failed: 0 });
  });
});

describe('another process acts', () => {
  it('as people do at the destination', async () => {
    expect((await control('POST', '/lists', { name: 'Offers' })).json).toEqual({ id: 2 });
    const given = { email: 'a@x.org', firstName: 'A', fields: { 3: 'v' }, tags: ['t'], lists: [1, 2] };
    expect((await control('POST', '/contacts', { contacts: [given] })).json).toEqual({ contacts: 1 });
    await control('POST', '/unsubscribe', { email: 'a@x.org', list: 2, reason: 'r', campaign: '9' });
    expect(sandbox.contact('a@x.org')).toMatchObject({
      firstName: 'A',
      fields: { 3: 'v' },
      tags: ['t'],
      lists: [
        { list: 1, status: 1 },
        { list: 2, status: 2, unsubreason: 'r', campaign: '9', ownChoice: true },
      ],
    });
    await control('POST', '/bounce', { email: 'a@x.org' });
    expect(sandbox.contact('a@x.org')).toMatchObject({
      bouncedHard: true,
      lists: [{ status: 3 }, { status: 3 }],
    });
    await control('POST', '/exclude', { matchPhrase: '@bad.org', matchType: 'end' });
    await importAll('p@bad.org');
    expect(sandbox.processed('p@bad.org')).toEqual({ imported: 0, failed: 1 });
    await control('DELETE', '/lists?id=2');
    expect(sandbox.contact('a@x.org')?.lists).toHaveLength(1);
    await control('POST', '/revoke-key', {});
    expect((await ask(sandbox, 'GET', '/users/me')).status).toBe(403);
    await control('POST', '/restore-key');
    expect((await ask(sandbox, 'GET', '/users/me')).status).toBe(200);
  });

  it('sets faults, sees them and takes them back', async () => {
    const fault = { on: 'importer', nth: 1, times: null, action: { type: 'answer', status: 503 } };
    expect((await control('POST', '/faults', fault)).json).toEqual({ id: 1 });
    await control('POST', '/refuse', { emails: ['bad@x.org'], matching: '^evil', how: 'named' });
    expect((await ask(sandbox, 'POST', IMPORT, { contacts: [{ email: 'a@x.org' }] })).status).toBe(503);
    expect((await control('GET', '/faults')).json).toMatchObject({
      faults: [{ id: 1, struck: 1, rule: fault }],
    });
    await control('DELETE', '/faults?id=1');
    for (const email of ['bad@x.org', 'evil@x.org']) {
      expect((await ask(sandbox, 'POST', IMPORT, { contacts: [{ email }] })).status).toBe(400);
    }
    await control('DELETE', '/faults');
    expect((await ask(sandbox, 'POST', IMPORT, { contacts: [{ email: 'bad@x.org' }] })).status).toBe(200);
  });

  it.each<[object, string]>([
    [{ type: 'answer', status: 503, body: 'x', contentType: 'text/plain', retryAfterSeconds: 3 }, 'any'],
    [{ type: 'rate-limit', retryAfterSeconds: 30 }, 'me'],
    [{ type: 'html', status: 502 }, 'info'],
    [{ type: 'redirect', location: 'https://x.org' }, 'lists'],
    [{ type: 'reset', when: 'after' }, 'importer'],
    [{ type: 'hang', when: 'before' }, 'importer'],
    [{ type: 'truncate', cleanly: true }, 'info'],
    [{ type: 'slow', delayMs: 100 }, 'contacts'],
    [{ type: 'quota' }, 'importer'],
    [{ type: 'refuse', contacts: [1, 2], named: false, reason: 'r' }, 'importer'],
    [{ type: 'batch', status: 'interrupted', processed: 3 }, 'importer'],
    [{ type: 'withhold', status: false, polls: 2 }, 'importer'],
    [{ type: 'delete-list', list: 1 }, 'importer'],
    [{ type: 'revoke-key', key: 'k' }, 'contactLists'],
  ])('may set the fault %j', async (action, on) => {
    const rule = { on, method: 'POST', nth: 2, times: 3, probability: 0.5, seed: 4, action };
    expect((await control('POST', '/faults', rule)).status).toBe(200);
    expect(sandbox.faults().map((fault) => fault.rule)).toEqual([rule]);
  });

  it('changes settings, all or none', async () => {
    expect(
      (await control('POST', '/settings', { retryAfterSeconds: 30, subscriberLimit: 5 })).json,
    ).toMatchObject({
      retryAfterSeconds: 30,
      subscriberLimit: 5,
    });
    const wrong = await control('POST', '/settings', { retryAfterSeconds: 1, window: 'round' });
    expect(wrong.status).toBe(400);
    expect(wrong.json).toEqual({ error: 'window must be one of: sliding, fixed.' });
    expect((await control('GET', '/settings')).json).toMatchObject({
      retryAfterSeconds: 30,
      window: 'sliding',
    });
  });

  it('begins anew with everything as it was at the start', async () => {
    await importAll('a@x.org');
    sandbox.set({ retryAfterSeconds: 9 });
    sandbox.deleteList(1);
    await control('POST', '/reset');
    expect(sandbox.summary()).toMatchObject({
      contacts: 0,
      calls: 0,
      batches: { total: 0 },
      lists: [{ id: 1, active: 0 }],
      settings: { retryAfterSeconds: 1 },
    });
  });

  it('forgets at a reset what was still to be worked off', async () => {
    await ask(sandbox, 'POST', IMPORT, { contacts: [{ email: 'a@x.org' }] });
    const processed: string[] = [];
    sandbox.on('processed', ({ batchId }) => processed.push(batchId));
    sandbox.reset();
    now += 6_000;
    expect(sandbox.contactCount).toBe(0);
    expect(processed).toEqual([]);
  });

  it.each([
    ['POST', '/faults', { on: 'nowhere', action: { type: 'quota' } }, '"on" must be one of'],
    ['POST', '/faults', { on: 'me', action: { type: 'explode' } }, '"type" must be one of'],
    ['POST', '/faults', { on: 'me' }, '"action" must be an object'],
    ['POST', '/faults', { on: 'me', probability: 2, action: { type: 'quota' } }, '"probability" must be'],
    ['POST', '/refuse', { matching: '(', how: 'named' }, '"matching" must be a regular expression'],
    ['POST', '/unsubscribe', { email: 'nobody@x.org', list: 1 }, 'There is no contact nobody@x.org'],
    ['POST', '/settings', { colour: 'red' }, 'There is no setting "colour"'],
    ['POST', '/lists', { id: 1, name: 'Twice' }, 'There is already a list 1'],
    ['POST', '/contacts', { contacts: [{ email: 'a@x.org', lists: [9] }] }, 'There is no list 9'],
    ['DELETE', '/lists?id=9', undefined, 'There is no list 9'],
    ['POST', '/bounce', '[1]', 'The body must be a JSON object'],
  ])('is told what is wrong: %s %s %j', async (method, path, body, message) => {
    const answer = await control(method, path, body);
    expect(answer.status).toBe(400);
    expect((answer.json as { error: string }).error).toContain(message);
  });

  it('is told what there is, when it asks for what there is not', async () => {
    const answer = await control('GET', '/nothing');
    expect(answer.status).toBe(404);
    expect((answer.json as { known: string[] }).known).toContain('GET /sandbox/state');
  });
});
