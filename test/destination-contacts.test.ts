import { ask } from '../sandbox/ask.js';
import { startSandbox, type SandboxOptions } from '../sandbox/sandbox.js';
import {
  FixCredentialsError,
  RefusedContactsError,
  RetryLaterError,
} from '../src/destinations/destination.js';
import { createLogger } from '../src/logger.js';
import { createPatience } from './helpers/patience.js';
import {
  activeCampaignAt,
  errorOf,
  fakeTime,
  startStub,
  type StubAnswer,
} from './helpers/stub-destination.js';

const ANN = 'ann@example.com';

describe('one contact', () => {
  const open: { close(): Promise<void> }[] = [];

  afterEach(async () => {
    await Promise.all(open.splice(0).map((server) => server.close()));
  });

  const callsTo = (host: string, apiKey: string, options: Parameters<typeof activeCampaignAt>[1] = {}) => {
    const destination = activeCampaignAt([host], options);
    const credentials = { host, apiKey };
    return {
      find: (email: string) => destination.findContact(credentials, email),
      membership: (id: string, listId = '1') => destination.membership(credentials, { id }, listId),
      subscribe: (id: string, listId = '1') => destination.subscribe(credentials, { id }, listId),
      /** Takes the addresses off list 1, as an export does, and lets the batch end. */
      unsubscribe: async (...emails: string[]) => {
        const contacts = emails.map((email) => ({ email, unsubscribe: true }));
        await destination.send(credentials, { listId: '1', contacts, runAutomations: false });
      },
    };
  };

  async function atSandbox(options: SandboxOptions = {}) {
    const clock = fakeTime();
    const sandbox = await startSandbox({ quotas: false, now: () => clock.now(), ...options });
    open.push(sandbox);
    const { startDeadline, runOutAt } = createPatience();
    runOutAt(sandbox);
    return { clock, sandbox, ...callsTo(sandbox.host, sandbox.token, { clock, startDeadline }) };
  }

  async function atStub(answer: StubAnswer, userAnswer: StubAnswer = { body: { user: {} } }) {
    const stub = await startStub(({ path }) => (path === '/users/me' ? userAnswer : answer));
    open.push(stub);
    return { stub, ...callsTo(stub.host, 'key') };
  }

  describe('is found by the address', () => {
    it('in one call, without regard to case and spaces around it', async () => {
      const { sandbox, find } = await atSandbox();
      sandbox.addContacts([{ email: 'other@example.com' }, { email: 'Ann@Example.com' }]);
      await expect(find(ANN)).resolves.toEqual({ id: '2' });
      expect(sandbox.log).toHaveLength(1);
      const { find: findAtStub } = await atStub({
        body: { contacts: [{ id: 7, email: ' ANN@example.com ' }] },
      });
      await expect(findAtStub(ANN)).resolves.toEqual({ id: '7' });
    });

    it.each([
      'ann+news@example.com',
      'a&b=c@example.com',
      "o'hara%41@example.com",
      'josé@example.com',
      'a#b@x.org',
    ])('when it is %s', async (email) => {
      const { sandbox, find } = await atSandbox();
      sandbox.addContacts([{ email: 'ann news@example.com' }, { email: 'a' }, { email }]);
      await expect(find(email)).resolves.toEqual({ id: '3' });
    });

    it('among look-alikes', async () => {
      const contacts = [
        { id: '1', email: 'josé@example.com' },
        { id: '2', email: 'jose@example.com' },
      ];
      const { find, stub } = await atStub({ body: { contacts } });
      await expect(find('jose@example.com')).resolves.toEqual({ id: '2' });
      const asked = new URL(`http://x${stub.calls[0]?.path ?? ''}`).searchParams;
      expect(Number(asked.get('limit'))).toBeGreaterThan(1);
      expect(asked.get('orders[id]')).toBe('ASC');
    });

    it('or is undefined when nobody has it', async () => {
      const { sandbox, find } = await atSandbox();
      sandbox.addContacts([{ email: 'other@example.com' }]);
      await expect(find(ANN)).resolves.toBeUndefined();
    });

    it('and is nobody else when the filter is ignored', async () => {
      const { sandbox, find } = await atSandbox();
      sandbox.addContacts([{ email: 'first@example.com' }, { email: 'second@example.com' }]);
      // To a filter that is empty the sandbox answers everybody, as ActiveCampaign does.
      await expect(find('')).resolves.toBeUndefined();
      const everybody = {
        contacts: [{ id: '1', email: 'first@example.com' }, { id: '2', email: null }, { id: '3' }],
      };
      const { find: findAtStub } = await atStub({ body: everybody });
      await expect(findAtStub(ANN)).resolves.toBeUndefined();
    });

    it('which reaches no log', async () => {
      const lines: string[] = [];
      const logger = createLogger('trace', { write: (line) => void lines.push(line) });
      const { sandbox } = await atSandbox();
      sandbox.addContacts([{ email: ANN }]);
      const { find } = callsTo(sandbox.host, sandbox.token, { logger });
      await find(ANN);
      sandbox.addFault({ on: 'contacts', action: { type: 'reset', when: 'before' } });
      const error = await errorOf(find(ANN));
      expect(lines).toHaveLength(2);
      for (const text of [...lines, error.message]) expect(text).not.toMatch(/ann(@|%40)example/);
    });
  });

  describe('has a membership', () => {
    it('that is undefined on a list on which it never was', async () => {
      const { sandbox, membership } = await atSandbox({
        lists: [
          { id: 1, name: 'A' },
          { id: 11, name: 'B' },
        ],
      });
      sandbox.addContacts([{ email: ANN, lists: [11] }]);
      await expect(membership('1', '1')).resolves.toBeUndefined();
      expect(sandbox.log).toHaveLength(1);
    });

    it('that is ACTIVE while it is on the list', async () => {
      const { sandbox, membership } = await atSandbox();
      sandbox.addContacts([{ email: ANN, lists: [1] }]);
      await expect(membership('1')).resolves.toEqual({
        status: 'ACTIVE',
        changedAt: undefined,
        byPerson: false,
      });
    });

    it('that ended by our import, between its intent and its end, and without a trace of the person', async () => {
      const { sandbox, clock, unsubscribe, membership } = await atSandbox({ utcOffsetMinutes: 330 });
      sandbox.addContacts([{ email: ANN, lists: [1] }]);
      await clock.sleep(3_600_000);
      const intentAt = clock.now();
      await unsubscribe(ANN);
      await clock.sleep(60_000);
      await expect(membership('1')).resolves.toEqual({
        status: 'UNSUBSCRIBED',
        changedAt: intentAt + 6_000,
        byPerson: false,
      });
    });

    it.each([
      ['a reason', { reason: 'too many' }, true],
      ['a campaign', { campaign: '7' }, true],
      ['neither', {}, false],
    ])('that ended by the person, with %s on record', async (_, how, byPerson) => {
      const { sandbox, clock, unsubscribe, membership } = await atSandbox();
      sandbox.addContacts([{ email: ANN, lists: [1] }]);
      await clock.sleep(3_600_000);
      const leftAt = clock.now();
      sandbox.unsubscribe(ANN, 1, how);
      await clock.sleep(3_600_000);
      // An export that takes the person off afterwards leaves the record as it is.
      await unsubscribe(ANN);
      await clock.sleep(60_000);
      await expect(membership('1')).resolves.toEqual({ status: 'UNSUBSCRIBED', changedAt: leftAt, byPerson });
    });

    it('that is OTHER when it bounced', async () => {
      const { sandbox, membership } = await atSandbox();
      sandbox.addContacts([{ email: ANN, lists: [1] }]);
      sandbox.bounce(ANN);
      await expect(membership('1')).resolves.toMatchObject({ status: 'OTHER' });
    });

    it('that is undefined once the contact is deleted, also between two calls', async () => {
      const { sandbox, find, membership } = await atSandbox();
      sandbox.addContacts([{ email: ANN, lists: [1] }]);
      const contact = await find(ANN);
      await ask(sandbox, 'DELETE', '/contacts/1');
      await expect(membership(contact?.id ?? '')).resolves.toBeUndefined();
    });

    it('that is found behind a page of others, and asked for no longer than needed', async () => {
      const lists = Array.from({ length: 150 }, (_, n) => ({ id: n + 1, name: `List ${n + 1}` }));
      const { sandbox, clock, membership } = await atSandbox({ lists });
      sandbox.addContacts([{ email: ANN, lists: lists.slice(0, 130).map(({ id }) => id) }]);
      const calls = async (listId: string) => {
        const before = sandbox.log.length;
        const found = await membership('1', listId);
        return [found?.status, sandbox.log.length - before];
      };
      expect(await calls('100')).toEqual(['ACTIVE', 1]);
      expect(clock.slept).toEqual([]);
      expect(await calls('130')).toEqual(['ACTIVE', 2]);
      expect(clock.slept).toEqual([250]);
      expect(await calls('150')).toEqual([undefined, 3]);
    });

    const row = (rest: object) => ({
      contactLists: [
        { list: '2', status: '2' },
        { list: '1', status: '2', ...rest },
      ],
    });

    it('that is found in pages of twenty, and not sought for ever in pages that repeat', async () => {
      const rows = (from: number) =>
        Array.from({ length: 20 }, (_, n) => ({ list: String(from + n), status: '1' }));
      const stub = await startStub(({ path }) => {
        const offset = Number(/offset=(\d+)/.exec(path)?.[1]);
        return { body: { contactLists: path.includes('/9/') ? rows(0) : rows(offset) } };
      });
      open.push(stub);
      const { membership } = callsTo(stub.host, 'key');
      await expect(membership('8', '45')).resolves.toMatchObject({ status: 'ACTIVE' });
      expect(stub.calls).toHaveLength(3);
      await expect(membership('9', '45')).resolves.toBeUndefined();
      expect(stub.calls).toHaveLength(5);
    });

    it.each([
      ['numbers', { list: 1, status: 1 }, { status: 'ACTIVE' }],
      ['a status that nobody knows', { status: '91' }, { status: 'OTHER' }],
      ['an unconfirmed one', { status: 0 }, { status: 'OTHER' }],
      ['a message', { message: '5' }, { byPerson: true }],
      ['an automation', { unsubscribeAutomation: 3 }, { byPerson: true }],
      ['ids that are 0', { campaign: '0', message: 0, unsubscribeAutomation: '' }, { byPerson: false }],
      ['a moment', { udate: '2021-06-30T04:12:14-05:00' }, { changedAt: Date.UTC(2021, 5, 30, 9, 12, 14) }],
      ['a moment in UTC', { udate: '2021-06-30T04:12:14Z' }, { changedAt: Date.UTC(2021, 5, 30, 4, 12, 14) }],
      ['no moment', { udate: '' }, { changedAt: undefined }],
      ['a missing moment', {}, { changedAt: undefined }],
      ['null for a moment', { udate: null }, { changedAt: undefined }],
      ['noughts for a moment', { udate: '0000-00-00 00:00:00' }, { changedAt: undefined }],
      ['noughts with an offset', { udate: '0000-00-00T00:00:00-05:00' }, { changedAt: undefined }],
      ['a moment without an offset', { udate: '2021-06-30 04:12:14' }, { changedAt: undefined }],
      ['words for a moment', { udate: 'May 1' }, { changedAt: undefined }],
    ])('that is read from %s', async (_, rest, expected) => {
      const { membership } = await atStub({ body: row(rest) });
      await expect(membership('7')).resolves.toMatchObject(expected);
    });
  });

  describe('is subscribed again', () => {
    it('although the importer would refuse it', async () => {
      const { sandbox, clock, unsubscribe, membership, subscribe } = await atSandbox();
      sandbox.addContacts([{ email: ANN, lists: [1] }]);
      await unsubscribe(ANN);
      await clock.sleep(60_000);
      expect([...sandbox.members(1)]).toEqual([]);
      await subscribe('1');
      expect([...sandbox.members(1)]).toEqual([ANN]);
      await expect(membership('1')).resolves.toMatchObject({ status: 'ACTIVE' });
      expect(sandbox.resubscriptions()).toMatchObject([{ email: ANN, sourceid: 4, overrodeOptOut: false }]);
      expect(
        sandbox.log.filter(({ method, kind }) => method === 'POST' && kind === 'contactLists'),
      ).toHaveLength(1);
    });

    it('even against an opt-out: the sandbox tells on us', async () => {
      const { sandbox, clock, unsubscribe, subscribe } = await atSandbox();
      sandbox.addContacts([{ email: ANN, lists: [1] }]);
      sandbox.unsubscribe(ANN, 1);
      await unsubscribe(ANN);
      await clock.sleep(60_000);
      await subscribe('1');
      expect(sandbox.summary().invariants.overriddenOptOuts).toBe(1);
    });

    it.each([
      ['the contact is gone', '2', '1', /contact does not exist/],
      ['the list is gone', '1', '9', /list does not exist/],
    ])('unless %s', async (_, id, listId, reason) => {
      const { sandbox, subscribe } = await atSandbox();
      sandbox.addContacts([{ email: ANN }]);
      const error = await errorOf(subscribe(id, listId));
      expect(error).toBeInstanceOf(RefusedContactsError);
      expect((error as RefusedContactsError).named).toEqual(new Map([[0, error.message]]));
      expect(error.message).toMatch(reason);
    });

    it.each([200, 201])('by a %s with a membership', async (status) => {
      const { subscribe } = await atStub({ status, body: { contactList: { id: '1' } } });
      await expect(subscribe('1')).resolves.toBeUndefined();
    });

    it.each([
      [
        'a bare error',
        400,
        { title: 'The related list does not exist.' },
        'The related list does not exist.',
      ],
      ['a 404 that says so', 404, { message: 'No Result found' }, 'No Result found'],
      ['errors', 422, { errors: [{ title: 'One.', detail: 'Two.' }, 'Three.'] }, 'One. Two. Three.'],
      ['one error as a text', 422, { errors: 'One.' }, 'One.'],
      ['nothing in it', 400, {}, 'ActiveCampaign gave no reason.'],
      ['very much in it', 422, { message: 'x'.repeat(5_000) }, 'x'.repeat(500)],
    ])('unless it is refused with %s', async (_, status, body, reason) => {
      const { subscribe } = await atStub({ status, body });
      const error = await errorOf(subscribe('1'));
      expect(error).toMatchObject({ name: 'RefusedContactsError', named: new Map([[0, reason]]) });
    });
  });

  describe('is asked for again later', () => {
    type Calls = Pick<Awaited<ReturnType<typeof atSandbox>>, 'find' | 'membership' | 'subscribe'>;
    const each: [name: string, call: (calls: Calls) => Promise<unknown>][] = [
      ['findContact', ({ find }) => find(ANN)],
      ['membership', ({ membership }) => membership('1')],
      ['subscribe', ({ subscribe }) => subscribe('1')],
    ];

    describe.each(each)('by %s', (_name, call) => {
      it.each([
        ['a 429', { type: 'rate-limit', retryAfterSeconds: 30 }, { tooFast: true, afterMs: 30_000 }],
        ['a 503', { type: 'answer', status: 503 }, { tooFast: true }],
        ['a web page with 200', { type: 'html' }, {}],
        ['a web page with 404', { type: 'html', status: 404 }, {}],
        ['a web page with 400', { type: 'html', status: 400 }, {}],
        ['a broken connection', { type: 'reset', when: 'before' }, {}],
        ['half an answer', { type: 'truncate', cleanly: true }, {}],
        ['no answer', { type: 'hang', when: 'after' }, {}],
        ['a passing 403', { type: 'answer', status: 403 }, {}],
        ['an empty object', { type: 'answer', status: 200, body: '{}' }, {}],
      ] as const)('after %s', async (_, action, expected) => {
        const { sandbox, ...calls } = await atSandbox();
        sandbox.addContacts([{ email: ANN, lists: [1] }]);
        sandbox.addFault({ on: 'any', action });
        const error = await errorOf(call(calls));
        expect(error).toBeInstanceOf(RetryLaterError);
        expect(error).toMatchObject(expected);
      });

      it('unless the key has been revoked', async () => {
        const { sandbox, ...calls } = await atSandbox();
        sandbox.revokeKey();
        const error = await errorOf(call(calls));
        expect(error).toBeInstanceOf(FixCredentialsError);
        expect(error).toMatchObject({ code: 'WRONG_KEY' });
      });
    });

    it.each([
      ['a contact without an id', { contacts: [{ email: ANN }] }],
      ['contacts that are no list', { contacts: {} }],
      ['contacts that are none', { contacts: ['1'] }],
    ])('after an answer with %s', async (_, body) => {
      const { find } = await atStub({ body });
      expect(await errorOf(find(ANN))).toBeInstanceOf(RetryLaterError);
    });

    it.each([
      ['a membership without a list', { contactLists: [{ status: '1' }] }],
      ['a membership without a status', { contactLists: [{ list: '1' }] }],
      ['memberships that are none', { contactLists: [null] }],
      ['memberships that are no list', { contactLists: '' }],
    ])('after an answer with %s', async (_, body) => {
      const { membership } = await atStub({ body });
      expect(await errorOf(membership('1'))).toBeInstanceOf(RetryLaterError);
    });
  });

  it('costs three calls to be brought back', async () => {
    const { sandbox, find, membership, subscribe } = await atSandbox();
    sandbox.addContacts([{ email: ANN, lists: [1] }]);
    const contact = await find(ANN);
    await membership(contact?.id ?? '');
    await subscribe(contact?.id ?? '');
    expect(sandbox.log.map(({ kind, status }) => [kind, status])).toEqual([
      ['contacts', 200],
      ['contactLists', 200],
      ['contactLists', 201],
    ]);
  });
});
