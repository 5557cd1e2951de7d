import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSandbox, type Sandbox } from '../sandbox/sandbox.js';
import { problemOf } from '../src/connections/problems.js';
import { RetryLaterError } from '../src/destinations/destination.js';
import { removeFolder } from './helpers/databases.js';
import { connectionCalls, refusalOf } from './helpers/connection-calls.js';
import { addExports } from './helpers/export-rows.js';
import { startHeldDestination } from './helpers/held-destination.js';
import { createManualClock } from './helpers/manual-clock.js';
import { movableClock } from './helpers/movable-clock.js';
import { startSluice } from './helpers/sluice.js';

const KEY = 'api-key-of-the-first-account-9f3c';
const OTHER_KEY = 'api-key-of-the-other-account-71d0';

describe('connecting', () => {
  let sandbox: Sandbox;
  let other: Sandbox;

  beforeAll(async () => {
    sandbox = await startSandbox({ tokens: [KEY], quotas: false, account: 'first' });
    other = await startSandbox({ tokens: [OTHER_KEY], quotas: false, account: 'other' });
  });

  afterAll(async () => {
    await Promise.all([sandbox.close(), other.close()]);
  });

  beforeEach(() => {
    sandbox.reset();
    other.reset();
  });

  const start = (host: string, ...more: string[]) =>
    startSluice({ sandbox: { host }, env: { SLUICE_SANDBOX_HOSTS: [host, ...more].join(',') } });

  /** A connection that was agreed to and not yet connected. */
  async function agreed(
    calls: ReturnType<typeof connectionCalls>,
    host = sandbox.host,
    apiKey = KEY,
  ): Promise<string> {
    const { id } = await calls.create({ host, apiKey });
    await calls.giveConsent(id);
    return id;
  }

  it('checks key, account and lists, and stores that it went well', async () => {
    const clock = createManualClock();
    await using sluice = await startSluice({ sandbox, clock });
    const calls = connectionCalls(sluice);
    const id = await agreed(calls);
    const connected = await calls.connect(id);
    expect(connected).toMatchObject({
      state: 'CONNECTED',
      problem: null,
      checkedAt: new Date(clock.now()).toISOString(),
    });
    expect(sandbox.log.map(({ kind, status }) => [kind, status])).toEqual([
      ['me', 200],
      ['account', 200],
      ['lists', 200],
    ]);
    expect(await calls.get(id)).toEqual(connected);
  });

  it.each([
    [
      'a wrong key',
      'WRONG_KEY',
      () => {
        sandbox.revokeKey();
      },
    ],
    [
      'a redirect, as a wrong account gives',
      'WRONG_ACCOUNT',
      () => sandbox.addFault({ on: 'me', action: { type: 'redirect' } }),
    ],
    ['a web page', 'NOT_ACTIVE_CAMPAIGN', () => sandbox.addFault({ on: 'me', action: { type: 'html' } })],
    [
      'a key that may not see lists',
      'NO_LIST_PERMISSION',
      () => {
        sandbox.set({ canReadLists: false });
      },
    ],
    [
      'an account that is not paid for',
      'ACCOUNT_UNPAID',
      () => sandbox.addFault({ on: 'me', action: { type: 'answer', status: 402 } }),
    ],
    [
      'a connection that breaks',
      'UNREACHABLE',
      () => sandbox.addFault({ on: 'me', action: { type: 'reset', when: 'before' } }),
    ],
    [
      'an inner error',
      'UNREACHABLE',
      () => sandbox.addFault({ on: 'me', action: { type: 'answer', status: 500 } }),
    ],
    [
      'too many calls',
      'TOO_BUSY',
      () => sandbox.addFault({ on: 'me', times: 2, action: { type: 'rate-limit', retryAfterSeconds: 30 } }),
    ],
  ])('tells %s as %s, in the answer and on the connection', async (_what, code, goWrong) => {
    await using sluice = await start(sandbox.host);
    const calls = connectionCalls(sluice);
    const id = await agreed(calls);
    goWrong();
    const { message, remedy = '', ...refusal } = await refusalOf(calls.connect(id));
    expect(refusal.code).toBe('CONNECTION_FAILED');
    expect(remedy).toMatch(/\w+\.$/);
    const failing = await calls.get(id);
    expect(failing).toMatchObject({ state: 'FAILING', problem: { code, message, remedy } });
    expect(failing.checkedAt).not.toBeNull();
    expect(JSON.stringify([message, failing, sluice.log])).not.toContain(KEY);
  });

  it('tells a host at which nobody listens as UNREACHABLE', async () => {
    const host = '127.0.0.1:1';
    await using sluice = await start(host);
    const calls = connectionCalls(sluice);
    const id = await agreed(calls, host);
    expect((await refusalOf(calls.connect(id))).code).toBe('CONNECTION_FAILED');
    expect((await calls.get(id)).problem?.code).toBe('UNREACHABLE');
  });

  it('does not tell a closed port from a missing host or a time-out, which would map the network', () => {
    const causes = ['it refused the connection', 'there is no such host name', 'it did not answer in time'];
    const told = causes.map((cause) =>
      JSON.stringify(problemOf(new RetryLaterError(`10.0.0.1 could not be reached: ${cause}.`))),
    );
    expect(new Set(told).size).toBe(1);
    expect(told[0]).not.toContain('10.0.0.1');
  });

  it('forgets the problem once it is mended', async () => {
    await using sluice = await start(sandbox.host);
    const calls = connectionCalls(sluice);
    const id = await agreed(calls);
    sandbox.revokeKey();
    await refusalOf(calls.connect(id));
    sandbox.restoreKey();
    expect(await calls.connect(id)).toMatchObject({ state: 'CONNECTED', problem: null });
  });

  it('finds out when a connection that worked works no longer', async () => {
    await using sluice = await start(sandbox.host);
    const calls = connectionCalls(sluice);
    const id = await agreed(calls);
    await calls.connect(id);
    sandbox.revokeKey();
    await refusalOf(calls.connect(id));
    expect(await calls.get(id)).toMatchObject({ state: 'FAILING', problem: { code: 'WRONG_KEY' } });
  });

  it('leaves a connection that works CONNECTED when the destination is only too busy to say', async () => {
    await using sluice = await start(sandbox.host);
    const calls = connectionCalls(sluice);
    const id = await agreed(calls);
    await calls.connect(id);
    sandbox.addFault({ on: 'me', action: { type: 'answer', status: 503 } });
    expect((await refusalOf(calls.connect(id))).message).toContain('too busy');
    expect(await calls.get(id)).toMatchObject({ state: 'CONNECTED', problem: null });
  });

  it('leaves a connection that works CONNECTED when the destination cannot be reached for a moment', async () => {
    await using sluice = await start(sandbox.host);
    const calls = connectionCalls(sluice);
    const id = await agreed(calls);
    await calls.connect(id);
    sandbox.addFault({ on: 'me', action: { type: 'reset', when: 'before' } });
    expect((await refusalOf(calls.connect(id))).code).toBe('CONNECTION_FAILED');
    expect(await calls.get(id)).toMatchObject({ state: 'CONNECTED', problem: null });
  });

  it('asks once more when the destination asks for a moment of patience', async () => {
    await using sluice = await start(sandbox.host);
    const calls = connectionCalls(sluice);
    const id = await agreed(calls);
    sandbox.addFault({ on: 'me', action: { type: 'rate-limit', retryAfterSeconds: 1 } });
    expect(await calls.connect(id)).toMatchObject({ state: 'CONNECTED' });
  });

  it('throws away what was found out about a host or key that was replaced meanwhile', async () => {
    await using slow = await startHeldDestination();
    await using sluice = await start(slow.host, sandbox.host);
    const calls = connectionCalls(sluice);
    const id = await agreed(calls, slow.host);
    const connecting = refusalOf(calls.connect(id));
    await slow.asked;
    const changed = await calls.update(id, { host: sandbox.host, apiKey: KEY });
    await calls.giveConsent(id);
    slow.letGo();
    expect((await connecting).code).toBe('CONFLICT');
    expect(await calls.get(id)).toMatchObject({ ...changed, consent: {}, state: 'DRAFT', checkedAt: null });
  });

  it('does not keep other writes waiting while the destination takes its time', async () => {
    await using slow = await startHeldDestination();
    await using sluice = await start(slow.host);
    const calls = connectionCalls(sluice);
    const id = await agreed(calls, slow.host);
    const connecting = calls.connect(id);
    await slow.asked;
    expect((await calls.update(id, { displayName: 'Renamed' })).displayName).toBe('Renamed');
    slow.letGo();
    expect(await connecting).toMatchObject({ displayName: 'Renamed', state: 'CONNECTED' });
  });

  it('to another account is refused while exports send to the earlier one', async () => {
    await using sluice = await start(sandbox.host, other.host);
    const calls = connectionCalls(sluice);
    const id = await agreed(calls);
    await calls.connect(id);
    await addExports(sluice, id, 'first', ['Spring']);
    await calls.update(id, { host: other.host, apiKey: OTHER_KEY });
    await calls.giveConsent(id);
    expect(await refusalOf(calls.connect(id))).toMatchObject({
      code: 'CONFLICT',
      remedy: expect.stringContaining('detach') as string,
    });
    expect(await calls.get(id)).toMatchObject({ state: 'FAILING', problem: { code: 'OTHER_ACCOUNT' } });

    await calls.update(id, { host: sandbox.host, apiKey: KEY });
    await calls.giveConsent(id);
    expect((await calls.connect(id)).state).toBe('CONNECTED');
  });

  it('to another account is free while no export uses the connection', async () => {
    await using sluice = await start(sandbox.host, other.host);
    const calls = connectionCalls(sluice);
    const id = await agreed(calls);
    await calls.connect(id);
    await calls.update(id, { host: other.host, apiKey: OTHER_KEY });
    await calls.giveConsent(id);
    expect((await calls.connect(id)).state).toBe('CONNECTED');
  });

  it('asks for the API key again when it was sealed by a secret key that is gone', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-rotated-'));
    const withKey = (byte: number) =>
      startSluice({ sandbox, folder, env: { SLUICE_SECRET_KEY: Buffer.alloc(32, byte).toString('base64') } });
    try {
      let id: string;
      {
        await using earlier = await withKey(1);
        id = await agreed(connectionCalls(earlier));
      }
      await using later = await withKey(2);
      const calls = connectionCalls(later);
      expect(await refusalOf(calls.connect(id))).toMatchObject({
        code: 'CONNECTION_FAILED',
        message: expect.stringMatching(/sealed with the secret key [0-9a-f]{8}/) as string,
        remedy: expect.stringContaining('Enter the API key again') as string,
      });
      await calls.update(id, { apiKey: KEY });
      expect((await calls.connect(id)).state).toBe('CONNECTED');
    } finally {
      await removeFolder(folder);
    }
  });
});

describe('the lists of a connection', () => {
  it('are those that the account has now, or had in the last five seconds', async () => {
    const sandbox = await startSandbox({
      quotas: false,
      lists: [
        { id: 1, name: 'Newsletter' },
        { id: 7, name: 'Größe' },
      ],
    });
    try {
      const clock = movableClock();
      await using sluice = await startSluice({ sandbox, clock });
      const calls = connectionCalls(sluice);
      const { id } = await calls.create({ host: sandbox.host, apiKey: sandbox.token });
      await calls.giveConsent(id);
      expect(await calls.lists(id)).toEqual([
        { id: '1', name: 'Newsletter' },
        { id: '7', name: 'Größe' },
      ]);
      sandbox.deleteList(1);
      clock.pass(5_001);
      expect(await calls.lists(id)).toEqual([{ id: '7', name: 'Größe' }]);
    } finally {
      await sandbox.close();
    }
  });

  it('are refused in words that help when the destination refuses them', async () => {
    const sandbox = await startSandbox({ quotas: false, canReadLists: false });
    try {
      await using sluice = await startSluice({ sandbox });
      const calls = connectionCalls(sluice);
      const { id } = await calls.create({ host: sandbox.host, apiKey: sandbox.token });
      await calls.giveConsent(id);
      expect(await refusalOf(calls.lists(id))).toMatchObject({
        code: 'CONNECTION_FAILED',
        remedy: expect.stringContaining('permission') as string,
      });
    } finally {
      await sandbox.close();
    }
  });
});
