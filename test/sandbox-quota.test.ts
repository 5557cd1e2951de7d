import { ask } from '../sandbox/ask.js';
import { type Sandbox, type SandboxOptions, startSandbox } from '../sandbox/sandbox.js';

const IMPORT = '/import/bulk_import';
const SEVERAL = { contacts: [{ email: 'a@x.org' }, { email: 'b@x.org' }] };
const SINGLE = { contacts: [{ email: 'a@x.org' }] };
let now = 1_700_000_000_000;
const started: Sandbox[] = [];

async function sandboxWith(options: SandboxOptions = {}): Promise<Sandbox> {
  const sandbox = await startSandbox({ now: () => now, importerCountsAsRequest: false, ...options });
  started.push(sandbox);
  return sandbox;
}

/** Statuses of `times` equal calls, one after the other. */
async function statuses(sandbox: Sandbox, times: number, method: string, path: string, body?: unknown) {
  const seen: number[] = [];
  for (let index = 0; index < times; index += 1) {
    seen.push((await ask(sandbox, method, path, body)).status);
  }
  return seen;
}

const times = (count: number, status: number) => Array.from({ length: count }, () => status);

afterEach(async () => {
  await Promise.all(started.splice(0).map((sandbox) => sandbox.close()));
});

describe('the importer has a quota of its own', () => {
  it('refuses the 101st call in any 60 seconds with a 400, and takes it when the first is a minute old', async () => {
    const sandbox = await sandboxWith();
    expect(await statuses(sandbox, 1, 'POST', IMPORT, SEVERAL)).toEqual([200]);
    now += 30_000;
    expect(await statuses(sandbox, 99, 'POST', IMPORT, SEVERAL)).toEqual(times(99, 200));
    const refused = await ask(sandbox, 'POST', IMPORT, SEVERAL);
    expect(refused.status).toBe(400);
    expect(refused.json).toEqual({
      success: 0,
      message: 'Rate limit exceeded.',
      failureReasons: [
        'Up to 100 imports may be requested per minute.Please batch contacts into larger requests, or retry this request in a minute.',
      ],
    });
    now += 29_999;
    expect(await statuses(sandbox, 1, 'POST', IMPORT, SEVERAL)).toEqual([400]);
    now += 1;
    expect(await statuses(sandbox, 2, 'POST', IMPORT, SEVERAL)).toEqual([200, 400]);
    expect(sandbox.summary().invariants).toMatchObject({ quotaRefusals: { minute: 3 } });
    expect(sandbox.log.filter(({ quota }) => quota === 'minute')).toHaveLength(3);
  });

  it('takes 20 single contacts a minute beside the others', async () => {
    const sandbox = await sandboxWith();
    expect(await statuses(sandbox, 21, 'POST', IMPORT, SINGLE)).toEqual([...times(20, 200), 400]);
    expect(await statuses(sandbox, 1, 'POST', IMPORT, SEVERAL)).toEqual([200]);
    expect(sandbox.summary().invariants).toMatchObject({
      busiest: { singleImportsInOneMinute: 21, importsInOneMinute: 1 },
      quotaRefusals: { 'minute-single': 1 },
    });
  });

  it('can have a window that starts anew each minute', async () => {
    now = Date.UTC(2026, 0, 1, 12, 0, 59);
    const sandbox = await sandboxWith({ window: 'fixed', importsPerMinute: 2 });
    expect(await statuses(sandbox, 3, 'POST', IMPORT, SEVERAL)).toEqual([200, 200, 400]);
    now += 1_000;
    expect(await statuses(sandbox, 1, 'POST', IMPORT, SEVERAL)).toEqual([200]);
  });
});

describe('all routes share five calls a second', () => {
  it('refuses the sixth with a 429 that says when to come again, and counts down on the others', async () => {
    const sandbox = await sandboxWith();
    const first = await ask(sandbox, 'GET', '/users/me');
    expect(first.headers.get('ratelimit-limit')).toBe('5');
    expect(first.headers.get('ratelimit-remaining')).toBe('4');
    expect(first.headers.get('retry-after')).toBeNull();
    expect(await statuses(sandbox, 4, 'GET', '/lists')).toEqual(times(4, 200));
    const refused = await ask(sandbox, 'GET', '/users/me');
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(refused.headers.get('ratelimit-remaining')).toBe('0');
    now += 999;
    expect(await statuses(sandbox, 1, 'GET', '/lists')).toEqual([429]);
    now += 1;
    expect(await statuses(sandbox, 6, 'GET', '/lists')).toEqual([...times(5, 200), 429]);
    expect(sandbox.summary().invariants.quotaRefusals.second).toBe(3);
  });

  it('counts importer calls among them unless told otherwise', async () => {
    const counting = await sandboxWith({ importerCountsAsRequest: true, retryAfterSeconds: 30 });
    expect(await statuses(counting, 6, 'POST', IMPORT, SEVERAL)).toEqual([...times(5, 200), 429]);
    const refused = await ask(counting, 'GET', '/lists');
    expect(refused.headers.get('retry-after')).toBe('30');
    const apart = await sandboxWith({ importerCountsAsRequest: false });
    expect(await statuses(apart, 6, 'POST', IMPORT, SEVERAL)).toEqual(times(6, 200));
  });

  it('enforces nothing when told so, and still counts what it saw', async () => {
    const sandbox = await sandboxWith({ quotas: false });
    expect(await statuses(sandbox, 12, 'GET', '/lists')).toEqual(times(12, 200));
    expect(sandbox.summary().invariants.busiest.requestsInOneSecond).toBe(12);
    sandbox.set({ quotas: true });
    expect(await statuses(sandbox, 1, 'GET', '/lists')).toEqual([429]);
  });

  it('refuses nothing at a scale at which a minute is less than a millisecond', async () => {
    const sandbox = await startSandbox({ timeScale: 100_000 });
    started.push(sandbox);
    const calls = Array.from({ length: 150 }, (_, index) =>
      index % 2 === 0 ? ask(sandbox, 'POST', IMPORT, SEVERAL) : ask(sandbox, 'GET', '/lists'),
    );
    const answers = await Promise.all(calls);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  });

  it('keeps the quota at a scale at which real lateness matters', async () => {
    const sandbox = await startSandbox({ timeScale: 2 });
    started.push(sandbox);
    const calls = Array.from({ length: 40 }, () => ask(sandbox, 'GET', '/lists'));
    const answers = await Promise.all(calls);
    expect(answers.filter(({ status }) => status === 429).length).toBeGreaterThan(0);
  });
});
