import { ask } from '../sandbox/ask.js';
import { type Sandbox, type SandboxOptions, startSandbox } from '../sandbox/sandbox.js';
import type { FaultAction } from '../sandbox/faults.js';

let now = 1_700_000_000_000;
const started: Sandbox[] = [];

async function sandboxWith(options: SandboxOptions = {}): Promise<Sandbox> {
  const sandbox = await startSandbox({ now: () => now, quotas: false, ...options });
  started.push(sandbox);
  return sandbox;
}

async function accepted(sandbox: Sandbox, ...emails: string[]): Promise<string> {
  const contacts = emails.map((email) => ({ email, subscribe: [{ listid: 1 }] }));
  const { json } = await ask(sandbox, 'POST', '/import/bulk_import', { contacts });
  return (json as { batchId: string }).batchId;
}

async function info(sandbox: Sandbox, batchId: string): Promise<{ status: unknown }> {
  return (await ask(sandbox, 'GET', `/import/info?batchId=${batchId}`)).json as { status: unknown };
}

async function acceptedWith(sandbox: Sandbox, action: FaultAction, ...emails: string[]): Promise<string> {
  sandbox.addFault({ on: 'importer', action });
  return accepted(sandbox, ...emails);
}

afterEach(async () => {
  await Promise.all(started.splice(0).map((sandbox) => sandbox.close()));
});

describe('a batch moves with the clock alone', () => {
  it('goes through every status in six seconds, and shows nothing of its work before the end', async () => {
    const sandbox = await sandboxWith();
    const batchId = await accepted(sandbox, 'a@x.org');
    const seen: unknown[] = [];
    for (let second = 0; second < 6; second += 1) {
      seen.push((await info(sandbox, batchId)).status);
      expect(sandbox.contactCount).toBe(0);
      now += 1_000;
    }
    expect(seen).toEqual([false, 'waiting', 'claimed', 'active', 'active', 'active']);
    expect(await info(sandbox, batchId)).toEqual({ status: 'completed', success: ['1'], failure: [] });
    expect(sandbox.contactCount).toBe(1);
  });

  it('dates what it writes by the moment at which it was due, in the offset of the account', async () => {
    now = Date.UTC(2026, 2, 1, 4, 59, 57);
    const sandbox = await sandboxWith();
    await accepted(sandbox, 'a@x.org');
    now += 3_600_000;
    expect(sandbox.contact('a@x.org')?.cdate).toBe('2026-03-01T00:00:03-05:00');
  });

  it('tells by events when a batch was accepted and when it was worked off', async () => {
    const sandbox = await sandboxWith();
    const acceptedEvent = sandbox.next('accepted');
    const batchId = await accepted(sandbox, 'a@x.org');
    expect(await acceptedEvent).toMatchObject({ batchId, contacts: 1, decidedAt: null });
    const processed = sandbox.next('processed');
    now += 6_000;
    sandbox.tick();
    expect(await processed).toMatchObject({ batchId, status: 'completed', success: 1 });
  });

  it('works by timers when it has the machine’s clock', async () => {
    const sandbox = await startSandbox({ timeScale: 100_000 });
    started.push(sandbox);
    const processed = sandbox.next('processed');
    const batchId = await accepted(sandbox, 'a@x.org');
    expect(await processed).toMatchObject({ batchId });
    expect([...sandbox.members(1)]).toEqual(['a@x.org']);
  });

  it('adds the backlog up by day', async () => {
    now = Date.UTC(2026, 5, 1, 12);
    const sandbox = await sandboxWith();
    const backlog = async () => (await ask(sandbox, 'GET', '/import/bulk_import')).json;
    expect(await backlog()).toEqual({ outstanding: [], recentlyCompleted: [] });
    await accepted(sandbox, 'a@x.org', 'b@x.org');
    now += 6_000;
    await accepted(sandbox, 'c@x.org');
    expect(await backlog()).toEqual({
      outstanding: [{ forDate: '2026-06-01', batches: '1', contacts: '1' }],
      recentlyCompleted: [{ forDate: '2026-06-01', batches: '1', contacts: '2' }],
    });
  });

  it('asks for a batchId, and knows nothing of one that it never gave', async () => {
    const sandbox = await sandboxWith();
    const missing = await ask(sandbox, 'GET', '/import/info');
    expect(missing.status).toBe(400);
    expect(missing.json).toEqual({ success: 0, message: "'batchId' is a required field." });
    expect(await info(sandbox, 'nobody')).toEqual({ status: false, success: [], failure: [] });
  });
});

describe('a batch can end badly, or never be heard of', () => {
  it('fails having done nothing, and says of no contact what became of it', async () => {
    const sandbox = await sandboxWith();
    const batchId = await acceptedWith(sandbox, { type: 'batch', status: 'failed' }, 'a@x.org', 'b@x.org');
    now += 6_000;
    expect(await info(sandbox, batchId)).toEqual({ status: 'failed', success: [], failure: [] });
    expect(sandbox.contactCount).toBe(0);
  });

  it('is interrupted half way', async () => {
    const sandbox = await sandboxWith();
    const batchId = await acceptedWith(
      sandbox,
      { type: 'batch', status: 'interrupted' },
      'a@x.org',
      'b@x.org',
    );
    now += 6_000;
    expect(await info(sandbox, batchId)).toEqual({ status: 'interrupted', success: [], failure: [] });
    expect([...sandbox.members(1)]).toEqual(['a@x.org']);
  });

  it('is worked off, but its result comes only at the third poll', async () => {
    const sandbox = await sandboxWith();
    const batchId = await acceptedWith(sandbox, { type: 'withhold', polls: 2 }, 'a@x.org');
    now += 6_000;
    expect(sandbox.contactCount).toBe(1);
    expect((await info(sandbox, batchId)).status).toBe('active');
    expect((await info(sandbox, batchId)).status).toBe('active');
    expect((await info(sandbox, batchId)).status).toBe('completed');
  });

  it('never tells its result', async () => {
    const sandbox = await sandboxWith();
    const batchId = await acceptedWith(sandbox, { type: 'withhold', status: false }, 'a@x.org');
    now += 90 * 60_000;
    expect((await info(sandbox, batchId)).status).toBe(false);
    expect(sandbox.batches()).toMatchObject([{ decidedAt: null, status: 'completed' }]);
  });
});

describe('the judge notes two undecided batches that hold one address for one list', () => {
  it('and does not, once the first has ended', async () => {
    const sandbox = await sandboxWith();
    const first = await accepted(sandbox, 'a@x.org', 'b@x.org');
    const second = await accepted(sandbox, 'A@x.org');
    expect(sandbox.overlaps()).toEqual([{ email: 'a@x.org', list: 1, first, second, excuse: null }]);
    expect(sandbox.summary().invariants).toMatchObject({ overlaps: 1, overlapsNotExcused: 1 });
    now += 6_000;
    await accepted(sandbox, 'a@x.org', 'b@x.org');
    expect(sandbox.summary().invariants.overlaps).toBe(1);
  });

  it('and does not for twins within one batch', async () => {
    const sandbox = await sandboxWith();
    await accepted(sandbox, 'a@x.org', 'A@x.org');
    expect(sandbox.overlaps()).toEqual([]);
  });

  it('but excuses it where the receipt was lost or the results were withheld', async () => {
    const sandbox = await sandboxWith();
    sandbox.addFault({ on: 'importer', action: { type: 'reset', when: 'after' } });
    await expect(accepted(sandbox, 'a@x.org')).rejects.toThrow('fetch failed');
    await accepted(sandbox, 'a@x.org');
    await acceptedWith(sandbox, { type: 'withhold' }, 'b@x.org');
    now += 3_600_000;
    await accepted(sandbox, 'b@x.org');
    expect(sandbox.overlaps().map(({ excuse }) => excuse)).toEqual(['receipt lost', 'results withheld']);
    expect(sandbox.summary().invariants).toMatchObject({ overlaps: 2, overlapsNotExcused: 0 });
  });
});
