import { request } from 'node:http';
import { ask } from '../sandbox/ask.js';
import type { FaultAction } from '../sandbox/faults.js';
import { type Sandbox, startSandbox } from '../sandbox/sandbox.js';

const IMPORT = '/import/bulk_import';
const TWO = { contacts: [{ email: 'a@x.org' }, { email: 'b@x.org' }] };
let now = 1_700_000_000_000;
let sandbox: Sandbox;

beforeEach(async () => {
  sandbox = await startSandbox({ now: () => now, quotas: false });
});

afterEach(async () => {
  await sandbox.close();
});

const me = async () => ask(sandbox, 'GET', '/users/me');
const importTwo = async () => ask(sandbox, 'POST', IMPORT, TWO);

describe('a scripted fault strikes the calls at which it is aimed', () => {
  it.each<[FaultAction, number, string]>([
    [{ type: 'rate-limit' }, 429, 'application/json'],
    [{ type: 'answer', status: 503 }, 503, 'text/html; charset=UTF-8'],
    [{ type: 'answer', status: 500 }, 500, 'text/html; charset=UTF-8'],
    [{ type: 'answer', status: 403 }, 403, 'application/json'],
    [{ type: 'answer', status: 401 }, 401, 'application/json'],
    [{ type: 'answer', status: 402 }, 402, 'application/json'],
    [{ type: 'answer', status: 418, body: 'tea', contentType: 'text/plain' }, 418, 'text/plain'],
    [{ type: 'html' }, 200, 'text/html; charset=UTF-8'],
    [{ type: 'html', status: 502 }, 502, 'text/html; charset=UTF-8'],
    [{ type: 'redirect' }, 302, 'text/html; charset=UTF-8'],
  ])('%j answers %i as %s, once, and nothing happens', async (action, status, contentType) => {
    sandbox.addFault({ on: 'importer', action });
    const answer = await importTwo();
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toBe(contentType);
    expect(sandbox.batches()).toEqual([]);
    expect(sandbox.log).toMatchObject([{ kind: 'importer', status, fault: action.type }]);
    expect((await importTwo()).status).toBe(200);
  });

  it('asks to come again after as many seconds as it was told', async () => {
    sandbox.addFault({ on: 'me', action: { type: 'rate-limit', retryAfterSeconds: 17 } });
    expect((await me()).headers.get('retry-after')).toBe('17');
    sandbox.addFault({ on: 'me', action: { type: 'answer', status: 503, retryAfterSeconds: 9 } });
    expect((await me()).headers.get('retry-after')).toBe('9');
  });

  it('strikes the nth call of its kind and as many after it as it was told', async () => {
    sandbox.addFault({ on: 'me', nth: 2, times: 2, action: { type: 'answer', status: 500 } });
    const seen: number[] = [];
    for (let call = 1; call <= 4; call += 1) {
      expect((await ask(sandbox, 'GET', '/lists')).status).toBe(200);
      seen.push((await me()).status);
    }
    expect(seen).toEqual([200, 500, 500, 200]);
    expect(sandbox.faults()).toMatchObject([{ matched: 4, struck: 2 }]);
  });

  it('strikes one method only, or for ever until it is taken back', async () => {
    sandbox.addFault({ on: 'any', method: 'POST', times: null, action: { type: 'answer', status: 500 } });
    expect((await me()).status).toBe(200);
    expect((await importTwo()).status).toBe(500);
    expect((await importTwo()).status).toBe(500);
    sandbox.clearFaults();
    expect((await importTwo()).status).toBe(200);
  });

  it('strikes only calls that hold a text in their path, query or body', async () => {
    sandbox.addFault({
      on: 'importer',
      containing: 'b@x.org',
      action: { type: 'answer', status: 500 },
    });
    sandbox.addFault({
      on: 'any',
      containing: 'a b@x',
      times: null,
      action: { type: 'answer', status: 502 },
    });
    sandbox.addFault({ on: 'lists', containing: '/lists/1', action: { type: 'answer', status: 504 } });
    expect((await ask(sandbox, 'GET', '/lists')).status).toBe(200);
    expect((await ask(sandbox, 'GET', '/lists/1')).status).toBe(504);
    expect((await ask(sandbox, 'GET', '/contacts?email=c%40x')).status).toBe(200);
    expect((await ask(sandbox, 'GET', '/contacts?email=a+b%40x')).status).toBe(502);
    expect((await importTwo()).status).toBe(500);
  });

  it('of two for one call the older strikes first, and the younger the next one', async () => {
    sandbox.addFault({ on: 'any', action: { type: 'answer', status: 500 } });
    sandbox.addFault({ on: 'me', action: { type: 'answer', status: 403 } });
    expect([(await me()).status, (await me()).status, (await me()).status]).toEqual([500, 403, 200]);
  });

  it('strikes by chance, and the same calls for the same seed', async () => {
    const drawn = async (seed: number) => {
      const id = sandbox.addFault({
        on: 'me',
        probability: 0.3,
        seed,
        action: { type: 'answer', status: 500 },
      });
      const seen: number[] = [];
      for (let call = 0; call < 60; call += 1) seen.push((await me()).status);
      sandbox.clearFaults(id);
      return seen;
    };
    const first = await drawn(7);
    expect(await drawn(7)).toEqual(first);
    expect(await drawn(8)).not.toEqual(first);
    const struck = first.filter((status) => status === 500).length;
    expect(struck).toBeGreaterThan(5);
    expect(struck).toBeLessThan(35);
  });
});

describe('a connection breaks, stalls or lies', () => {
  it('resets before the call has any effect', async () => {
    sandbox.addFault({ on: 'importer', action: { type: 'reset', when: 'before' } });
    await expect(importTwo()).rejects.toThrow('fetch failed');
    expect(sandbox.batches()).toEqual([]);
    expect(sandbox.log).toMatchObject([{ status: 0, fault: 'reset' }]);
  });

  it('resets when the batch has been accepted, and its receipt is lost', async () => {
    sandbox.addFault({ on: 'importer', action: { type: 'reset', when: 'after' } });
    await expect(importTwo()).rejects.toThrow('fetch failed');
    expect(sandbox.batches()).toMatchObject([{ contacts: 2, receiptSent: false }]);
  });

  it.each([
    ['before', 0],
    ['after', 1],
  ] as const)('hangs for ever, %s acceptance', async (when, batches) => {
    sandbox.addFault({ on: 'importer', action: { type: 'hang', when } });
    const hanging = sandbox.nextCall();
    const answer = importTwo().then(
      () => 'answered',
      () => 'broken',
    );
    expect(await hanging).toMatchObject({ status: 0, fault: 'hang' });
    expect(sandbox.batches()).toHaveLength(batches);
    expect((await me()).status).toBe(200);
    await sandbox.close();
    expect(await answer).toBe('broken');
  });

  it('breaks the answer off half way, when the batch has been accepted', async () => {
    sandbox.addFault({ on: 'importer', action: { type: 'truncate' } });
    await expect(importTwo()).rejects.toThrow('terminated');
    expect(sandbox.batches()).toMatchObject([{ receiptSent: false }]);
  });

  it('knows that the receipt was lost when the caller goes away before the answer', async () => {
    sandbox.addFault({ on: 'importer', action: { type: 'slow', delayMs: 1_000 } });
    const accepted = sandbox.next('accepted');
    const caller = request(`${sandbox.url}/api/3${IMPORT}`, {
      method: 'POST',
      headers: { 'api-token': sandbox.token },
    });
    caller.on('error', () => undefined);
    caller.end(JSON.stringify(TWO));
    await accepted;
    caller.destroy();
    // Two round trips later the sandbox has heard that the connection is gone.
    await me();
    await me();
    now += 1_000;
    sandbox.tick();
    expect(sandbox.batches()).toMatchObject([{ receiptSent: false }]);
    expect(sandbox.log[0]).toMatchObject({ kind: 'importer', status: 0 });
  });

  it('sends half an answer as if that were all', async () => {
    sandbox.addFault({ on: 'importer', action: { type: 'truncate', cleanly: true } });
    const answer = await importTwo();
    expect(answer.status).toBe(200);
    expect(answer.text).toMatch(/^\{"success":1,/);
    expect(answer.json).toBeUndefined();
    expect(sandbox.batches()).toMatchObject([{ receiptSent: false }]);
  });

  it('answers late, in sandbox time', async () => {
    sandbox.addFault({ on: 'me', action: { type: 'slow', delayMs: 5_000 } });
    const arrived = sandbox.next('request');
    let answered = false;
    const answer = me().finally(() => (answered = true));
    await arrived;
    now += 4_999;
    expect((await ask(sandbox, 'GET', '/lists')).status).toBe(200);
    expect(answered).toBe(false);
    now += 1;
    sandbox.tick();
    expect((await answer).status).toBe(200);
  });
});

describe('the importer refuses on purpose', () => {
  it('says that the quota is used up', async () => {
    sandbox.addFault({ on: 'importer', action: { type: 'quota' } });
    const answer = await importTwo();
    expect(answer.status).toBe(400);
    expect(answer.json).toMatchObject({ success: 0, message: 'Rate limit exceeded.' });
  });

  it('names contacts by their places, or gives a reason in words', async () => {
    sandbox.addFault({ on: 'importer', action: { type: 'refuse', contacts: [2] } });
    const reason = "Field 'email' incorrect format";
    expect((await importTwo()).json).toMatchObject({
      failureReasons: [{ contact: 2, failureReason: reason }],
    });
    sandbox.addFault({
      on: 'importer',
      action: { type: 'refuse', named: false, reason: 'Something is wrong' },
    });
    expect((await importTwo()).json).toMatchObject({ failureReasons: ['Something is wrong'] });
  });

  it('refuses certain addresses each time, named, unnamed or later', async () => {
    sandbox.refuseAddresses({ emails: ['B@x.org'], how: 'named' });
    expect((await importTwo()).json).toMatchObject({ failureReasons: [{ contact: 2 }] });
    expect((await importTwo()).status).toBe(400);
    sandbox.clearFaults();
    sandbox.refuseAddresses({ matching: /^b@/, how: 'unnamed', reason: 'Bad' });
    expect((await importTwo()).json).toMatchObject({ failureReasons: ['Bad'] });
    sandbox.clearFaults();
    sandbox.refuseAddresses({ matching: (email) => email.startsWith('a'), how: 'later' });
    const { batchId } = (await importTwo()).json as { batchId: string };
    now += 6_000;
    const { json } = await ask(sandbox, 'GET', `/import/info?batchId=${batchId}`);
    expect(json).toMatchObject({ status: 'completed', failure: ['a@x.org'] });
  });
});

describe('the account changes under a call', () => {
  it('loses a list just before the third call', async () => {
    sandbox.addContacts([{ email: 'a@x.org', lists: [1] }]);
    sandbox.addFault({ on: 'importer', nth: 3, action: { type: 'delete-list', list: 1 } });
    await importTwo();
    await importTwo();
    expect((await ask(sandbox, 'GET', '/lists/1')).status).toBe(200);
    await importTwo();
    expect((await ask(sandbox, 'GET', '/lists/1')).status).toBe(404);
    expect(sandbox.contact('a@x.org')?.lists).toEqual([]);
  });

  it('knows a key no more, until it is restored', async () => {
    sandbox.addFault({ on: 'importer', nth: 2, action: { type: 'revoke-key' } });
    expect((await importTwo()).status).toBe(200);
    expect((await importTwo()).status).toBe(403);
    expect((await me()).status).toBe(403);
    sandbox.restoreKey();
    expect((await me()).status).toBe(200);
  });
});
