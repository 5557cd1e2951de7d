import { inspect } from 'node:util';
import { startSandbox, type Sandbox, type SandboxOptions } from '../sandbox/sandbox.js';
import { FixCredentialsError, RetryLaterError } from '../src/destinations/destination.js';
import { createPatience } from './helpers/patience.js';
import {
  activeCampaignAt,
  errorOf,
  fakeTime,
  startStub,
  type Stub,
  type StubAnswer,
} from './helpers/stub-destination.js';

const KEY = 'key-that-must-not-leak-5c1f';

describe('the check of credentials', () => {
  const open: { close(): Promise<void> }[] = [];

  afterEach(async () => {
    await Promise.all(open.splice(0).map((server) => server.close()));
  });

  async function sandboxWith(options: SandboxOptions = {}): Promise<Sandbox> {
    const sandbox = await startSandbox({ tokens: [KEY], quotas: false, ...options });
    open.push(sandbox);
    return sandbox;
  }

  async function stubWith(answers: Record<string, StubAnswer>): Promise<Stub> {
    const stub = await startStub(
      ({ path }) => answers[path.replace(/\?.*/, '')] ?? { status: 404, body: { message: 'Not Found' } },
    );
    open.push(stub);
    return stub;
  }

  const check = (host: string, options: Parameters<typeof activeCampaignAt>[1] = {}, apiKey = KEY) =>
    activeCampaignAt([host], options).check({ host, apiKey });

  const user = (links: Record<string, string> = {}) => ({ body: { user: { id: '1', links } } });

  it('finds out which account it is', async () => {
    const sandbox = await sandboxWith({ account: 'Acme' });
    await expect(check(sandbox.host)).resolves.toEqual({ id: 'acme' });
    expect(sandbox.log.map(({ kind }) => kind)).toEqual(['me', 'account', 'lists']);
  });

  it('gives an account the same id when the user is not an administrator', async () => {
    const sandbox = await sandboxWith({ account: 'acme', canReadAccount: false });
    await expect(check(sandbox.host)).resolves.toEqual({ id: 'acme' });
  });

  it.each([
    ['its name', { account: 'ACME' }, {}],
    ['one host name', { account: 'acme.api-us1.com' }, {}],
    ['another host name', { account: 'Acme.ActiveHosted.com' }, {}],
    [
      'its links, beside the name of a company',
      { account: 'Acme & Sons' },
      { lists: 'https://acme.api-us1.com/api/3' },
    ],
    ['its links alone', undefined, { lists: 'https://ACME.api-us1.com/api/3/users/1/lists' }],
  ])('gives an account the same id by %s', async (_, account, links) => {
    const { host } = await stubWith({
      '/users/me': user(links),
      '/settings/account': account === undefined ? { status: 403 } : { body: account },
      '/lists': { body: { lists: [] } },
    });
    await expect(check(host)).resolves.toEqual({ id: 'acme' });
  });

  it('takes the host for the account when the account says nothing of itself', async () => {
    const { host } = await stubWith({ '/users/me': user(), '/lists': { body: { lists: [] } } });
    await expect(check(host)).resolves.toEqual({ id: host });
  });

  it('says WRONG_KEY when the account refuses the key twice, five seconds apart', async () => {
    const sandbox = await sandboxWith();
    const clock = fakeTime();
    const error = await errorOf(check(sandbox.host, { clock }, 'another-key'));
    expect(error).toBeInstanceOf(FixCredentialsError);
    expect(error).toMatchObject({ code: 'WRONG_KEY' });
    expect(clock.slept).toEqual([5_000]);
    expect(sandbox.log.map(({ kind, status }) => [kind, status])).toEqual([
      ['me', 403],
      ['me', 403],
    ]);
  });

  it('waits between the two looks as fast as time passes at a sandbox', async () => {
    const sandbox = await sandboxWith();
    const clock = fakeTime();
    await errorOf(check(sandbox.host, { clock, sandboxTimeScale: 50 }, 'another-key'));
    expect(clock.slept).toEqual([100]);
  });

  it('takes a 401 for a 403', async () => {
    const sandbox = await sandboxWith();
    sandbox.addFault({ on: 'me', times: 2, action: { type: 'answer', status: 401 } });
    await expect(check(sandbox.host)).rejects.toMatchObject({ code: 'WRONG_KEY' });
  });

  it('forgives a passing 403', async () => {
    const sandbox = await sandboxWith();
    sandbox.addFault({ on: 'me', action: { type: 'answer', status: 403 } });
    sandbox.addFault({ on: 'lists', action: { type: 'answer', status: 403 } });
    await expect(check(sandbox.host)).resolves.toEqual({ id: 'sandbox' });
  });

  it.each(['', 'two words', 'line\nbreak', 'ключ'])(
    'says WRONG_KEY to %j without sending it',
    async (key) => {
      const sandbox = await sandboxWith();
      await expect(check(sandbox.host, {}, key)).rejects.toMatchObject({ code: 'WRONG_KEY' });
      expect(sandbox.log).toEqual([]);
    },
  );

  it('says WRONG_ACCOUNT to a redirect, and does not follow it', async () => {
    const elsewhere = await stubWith({ '/users/me': user(), '/lists': { body: { lists: [] } } });
    const sandbox = await sandboxWith({ hosts: ['acme.api-us1.com'] });
    await expect(check(sandbox.host)).rejects.toMatchObject({ code: 'WRONG_ACCOUNT' });
    sandbox.addFault({
      on: 'me',
      action: { type: 'redirect', location: `http://${elsewhere.host}/api/3/users/me` },
    });
    await expect(check(sandbox.host)).rejects.toMatchObject({ code: 'WRONG_ACCOUNT' });
    expect(elsewhere.calls).toEqual([]);
  });

  it.each([
    ['a web page with 200', { type: 'html' }],
    ['a web page with 404', { type: 'html', status: 404 }],
    ['JSON that tells of no user', { type: 'answer', status: 200, body: '{"hello":"world"}' }],
    ['JSON that is no object', { type: 'answer', status: 200, body: '"hello"' }],
  ] as const)('says NOT_ACTIVE_CAMPAIGN to %s', async (_, action) => {
    const sandbox = await sandboxWith();
    sandbox.addFault({ on: 'me', action });
    await expect(check(sandbox.host)).rejects.toMatchObject({ code: 'NOT_ACTIVE_CAMPAIGN' });
  });

  it('says ACCOUNT_UNPAID to a 402', async () => {
    const sandbox = await sandboxWith();
    sandbox.addFault({ on: 'me', action: { type: 'answer', status: 402 } });
    await expect(check(sandbox.host)).rejects.toMatchObject({ code: 'ACCOUNT_UNPAID' });
  });

  it('says NO_LIST_PERMISSION when the key works, but not for lists', async () => {
    const sandbox = await sandboxWith({ canReadLists: false });
    const error = await errorOf(check(sandbox.host));
    expect(error).toBeInstanceOf(FixCredentialsError);
    expect(error).toMatchObject({ code: 'NO_LIST_PERMISSION' });
  });

  it('says WRONG_KEY when the key stops working before the lists', async () => {
    const sandbox = await sandboxWith();
    sandbox.addFault({ on: 'lists', action: { type: 'revoke-key' } });
    await expect(check(sandbox.host)).rejects.toMatchObject({ code: 'WRONG_KEY' });
  });

  it.each([
    ['429', { type: 'rate-limit', retryAfterSeconds: 30 }, { afterMs: 30_000, tooFast: true }],
    ['503', { type: 'answer', status: 503 }, { afterMs: undefined, tooFast: true }],
    ['500', { type: 'answer', status: 500, retryAfterSeconds: 2 }, { afterMs: 2_000, tooFast: false }],
    ['408', { type: 'answer', status: 408 }, { tooFast: false }],
    ['a web page with 502', { type: 'html', status: 502 }, { tooFast: false }],
    ['a broken connection', { type: 'reset', when: 'before' }, { tooFast: false }],
    ['half an answer', { type: 'truncate' }, { tooFast: false }],
    ['no answer', { type: 'hang', when: 'before' }, { tooFast: false }],
  ] as const)('asks to come again later after %s', async (_, action, expected) => {
    for (const on of ['me', 'account', 'lists'] as const) {
      const sandbox = await sandboxWith();
      sandbox.addFault({ on, action });
      const { startDeadline, runOutAt } = createPatience();
      runOutAt(sandbox);
      const error = await errorOf(check(sandbox.host, { startDeadline }));
      expect(error).toBeInstanceOf(RetryLaterError);
      expect(error).toMatchObject(expected);
    }
  });

  it('asks to come again later when nobody is there', async () => {
    const host = '127.0.0.1:1';
    const error = await errorOf(check(host));
    expect(error).toBeInstanceOf(RetryLaterError);
    expect(error.message).toBe(`${host} could not be reached: it refused the connection.`);
  });

  it.each([
    ['seconds', '120', 120_000],
    ['a date, by the clock of the answer', 'Thu, 01 Jan 1970 00:01:30 GMT', 30_000],
    ['a date that has passed', 'Thu, 01 Jan 1970 00:00:30 GMT', 0],
    ['far more than can be waited for', '999999999999', 3_600_000],
    ['something else', 'soon', undefined],
  ])('reads Retry-After as %s', async (_, header, afterMs) => {
    const { host } = await stubWith({
      '/users/me': { status: 429, headers: { 'retry-after': header, date: 'Thu, 01 Jan 1970 00:01:00 GMT' } },
    });
    const error = await errorOf(check(host));
    expect(error).toBeInstanceOf(RetryLaterError);
    expect(error).toMatchObject({ afterMs });
  });

  it('divides Retry-After by the time scale of a sandbox', async () => {
    const sandbox = await sandboxWith();
    sandbox.addFault({ on: 'me', action: { type: 'rate-limit', retryAfterSeconds: 30 } });
    await expect(check(sandbox.host, { sandboxTimeScale: 60 })).rejects.toMatchObject({ afterMs: 500 });
  });

  it('tells a person what to do', async () => {
    const sandbox = await sandboxWith();
    const error = await errorOf(check(sandbox.host, {}, 'another-key'));
    expect(error).toMatchObject({ remedy: expect.stringContaining('Settings > Developer') as string });
  });

  it.each([
    ['a refused key', { type: 'answer', status: 403 }],
    ['a redirect', { type: 'redirect' }],
    ['a web page', { type: 'html' }],
    ['a 429', { type: 'rate-limit' }],
    ['a 500', { type: 'answer', status: 500 }],
    ['a broken connection', { type: 'reset', when: 'before' }],
    ['half an answer', { type: 'truncate' }],
    ['no answer', { type: 'hang', when: 'before' }],
  ] as const)('has the key in no error after %s', async (_, action) => {
    const sandbox = await sandboxWith();
    sandbox.addFault({ on: 'me', times: 2, action });
    const { startDeadline, runOutAt } = createPatience();
    runOutAt(sandbox);
    const error = await errorOf(check(sandbox.host, { startDeadline }));
    const shown = [
      String(error),
      error.stack,
      JSON.stringify(error),
      JSON.stringify(error, Object.getOwnPropertyNames(error)),
      inspect(error, { depth: 20, showHidden: true }),
    ];
    for (const text of shown) expect(text).not.toContain(KEY);
  });
});
