import { startSandbox, type SandboxOptions } from '../sandbox/sandbox.js';
import { RetryLaterError } from '../src/destinations/destination.js';
import { createPatience } from './helpers/patience.js';
import {
  activeCampaignAt,
  errorOf,
  fakeTime,
  startStub,
  type StubAnswer,
} from './helpers/stub-destination.js';

const UNKNOWN = { limit: undefined, contacts: undefined };

describe('an account', () => {
  const open: { close(): Promise<void> }[] = [];

  afterEach(async () => {
    await Promise.all(open.splice(0).map((server) => server.close()));
  });

  async function atSandbox(options: SandboxOptions = {}) {
    const clock = fakeTime();
    const sandbox = await startSandbox({ quotas: false, now: () => clock.now(), ...options });
    open.push(sandbox);
    const { startDeadline, runOutAt } = createPatience();
    runOutAt(sandbox);
    const destination = activeCampaignAt([sandbox.host], { clock, startDeadline });
    const credentials = { host: sandbox.host, apiKey: sandbox.token };
    return { clock, sandbox, destination, capacity: () => destination.capacity(credentials), credentials };
  }

  async function atStub(answer: StubAnswer) {
    const stub = await startStub(() => answer);
    open.push(stub);
    const clock = fakeTime();
    const destination = activeCampaignAt([stub.host], { clock });
    const credentials = { host: stub.host, apiKey: 'key' };
    return { clock, stub, destination, capacity: () => destination.capacity(credentials) };
  }

  describe('has a capacity', () => {
    it('that is told in one call', async () => {
      const { sandbox, capacity } = await atSandbox({ subscriberLimit: 1_000 });
      sandbox.addContacts([{ email: 'a@x.org' }, { email: 'b@x.org' }]);
      await expect(capacity()).resolves.toEqual({ limit: 1_000, contacts: 2 });
      expect(sandbox.log).toHaveLength(1);
    });

    it('without a limit where there is none', async () => {
      const { capacity } = await atSandbox();
      await expect(capacity()).resolves.toEqual({ limit: undefined, contacts: 0 });
    });

    it('that is unknown where the key may not read it, and that is all that it means', async () => {
      const { sandbox, capacity } = await atSandbox({ canReadAccount: false });
      await expect(capacity()).resolves.toEqual(UNKNOWN);
      expect(sandbox.log.map(({ kind, status }) => [kind, status])).toEqual([['account', 403]]);
    });

    it.each([
      ['the route is unknown', { status: 404, body: { message: 'Not Found' } }, UNKNOWN],
      ['the route is unknown to a web server', { status: 404, body: '<html></html>' }, UNKNOWN],
      ['nothing of it is told', { body: { account: 'x' } }, UNKNOWN],
      ['it makes no sense', { body: { subscriber_limit: -1, subscriber_total: 1.5 } }, UNKNOWN],
      ['it is words', { body: { subscriber_limit: 'many', subscriber_total: '' } }, UNKNOWN],
    ])('that is unknown where %s', async (_, answer, expected) => {
      const { capacity } = await atStub(answer);
      await expect(capacity()).resolves.toEqual(expected);
    });

    it('that may be told in texts', async () => {
      const { capacity } = await atStub({ body: { subscriber_limit: '2500', subscriber_total: '7' } });
      await expect(capacity()).resolves.toEqual({ limit: 2_500, contacts: 7 });
    });

    it.each([
      ['a web page', { type: 'html' }],
      ['a 503', { type: 'answer', status: 503 }],
      ['no answer', { type: 'hang', when: 'before' }],
      ['a passing redirect', { type: 'redirect' }],
    ] as const)('that is asked for again later after %s', async (_, action) => {
      const { sandbox, capacity } = await atSandbox();
      sandbox.addFault({ on: 'account', action });
      expect(await errorOf(capacity())).toBeInstanceOf(RetryLaterError);
    });

    it('unless it is unpaid', async () => {
      const { sandbox, capacity } = await atSandbox();
      sandbox.addFault({ on: 'any', times: null, action: { type: 'answer', status: 402 } });
      await expect(capacity()).rejects.toMatchObject({ code: 'ACCOUNT_UNPAID' });
    });
  });

  describe('has a clock', () => {
    it('that is read from every answer', async () => {
      const { sandbox, clock, destination, capacity } = await atSandbox();
      const startedAt = clock.now();
      expect(destination.timeAt(sandbox.host)).toBeUndefined();
      await clock.sleep(1_999);
      await capacity();
      expect(destination.timeAt(sandbox.host)).toBe(startedAt + 1_000);
      await clock.sleep(60_001);
      sandbox.addFault({ on: 'account', action: { type: 'rate-limit' } });
      await errorOf(capacity());
      expect(destination.timeAt(sandbox.host)).toBe(startedAt + 62_000);
      await clock.sleep(5_000);
      sandbox.addFault({ on: 'account', action: { type: 'reset', when: 'before' } });
      await errorOf(capacity());
      expect(destination.timeAt(sandbox.host)).toBe(startedAt + 62_000);
    });

    it('that is its own at each host, and unknown to another process', async () => {
      const first = await atSandbox();
      await first.capacity();
      expect(first.destination.timeAt('127.0.0.1:1')).toBeUndefined();
      expect(activeCampaignAt([first.sandbox.host]).timeAt(first.sandbox.host)).toBeUndefined();
    });

    it('that follows one that was put back, and forgets a wrong date, after ten seconds', async () => {
      let date = '';
      const { clock, stub, destination, capacity } = await atStub((_, response) => {
        response.setHeader('date', date);
        response.end('{}');
      });
      const seen: (number | undefined)[] = [];
      for (const [seconds, waitMs] of [
        [9_000, 0],
        [60, 10_000],
        [61, 1],
        [50, 9_999],
        [51, 2],
      ] as const) {
        await clock.sleep(waitMs);
        date = new Date(seconds * 1_000).toUTCString();
        await capacity();
        seen.push(destination.timeAt(stub.host));
      }
      expect(seen).toEqual([9_000_000, 9_000_000, 61_000, 61_000, 51_000]);
    });

    it('that does not run backwards for answers that overtake each other, and does not stop for a date that is none', async () => {
      const dates = [
        'Thu, 01 Jan 1970 00:01:00 GMT',
        'Thu, 01 Jan 1970 00:00:59 GMT',
        'soon',
        'Thu, 01 Jan 1970 00:01:01 GMT',
      ];
      const { stub, destination, capacity } = await atStub((_, response) => {
        response.setHeader('date', dates[stub.calls.length - 1] ?? '');
        response.end('{}');
      });
      const seen: (number | undefined)[] = [];
      while (seen.length < dates.length) {
        await capacity();
        seen.push(destination.timeAt(stub.host));
      }
      expect(seen).toEqual([60_000, 60_000, 60_000, 61_000]);
    });

    it('by which its records are written, however fast it runs', async () => {
      const sandbox = await startSandbox({ timeScale: 10_000 });
      open.push(sandbox);
      sandbox.addContacts([{ email: 'a@x.org', lists: [1] }]);
      const destination = activeCampaignAt([sandbox.host], { sandboxTimeScale: 10_000 });
      const credentials = { host: sandbox.host, apiKey: sandbox.token };
      const clock = () => destination.timeAt(sandbox.host) ?? NaN;
      await destination.list(credentials, '1');
      const before = clock();
      const processed = sandbox.next('processed');
      const contacts = [{ email: 'a@x.org', unsubscribe: true }];
      await destination.send(credentials, { listId: '1', contacts, runAutomations: false });
      await processed;
      const membership = await destination.membership(credentials, { id: '1' }, '1');
      expect(membership?.changedAt).toBeGreaterThanOrEqual(before + 6_000);
      expect(membership?.changedAt).toBeLessThanOrEqual(clock());
    });
  });
});
