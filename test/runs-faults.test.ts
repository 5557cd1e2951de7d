import type { FaultAction } from '../sandbox/faults.js';
import type { RouteKind } from '../sandbox/journal.js';
import {
  emailOf,
  exportOf,
  fastTime,
  held,
  imports,
  people,
  rejectionsOf,
  runFully,
  startEngine,
  wanted,
} from './helpers/engine.js';
import { createPatience } from './helpers/patience.js';

const COUNT = 700;
const ALL = {
  state: 'SUCCEEDED',
  problem: null,
  progress: { toSend: COUNT, accepted: COUNT, confirmed: COUNT },
};

/** Calls that have their turn at once, as the engine has it. */
const MAX_IN_FLIGHT = 16;

describe('a run gets through', () => {
  const passing: [string, FaultAction][] = [
    ['429', { type: 'rate-limit' }],
    ['503', { type: 'answer', status: 503 }],
    ['500', { type: 'answer', status: 500 }],
    ['502 with a web page', { type: 'html', status: 502 }],
    ['a web page with status 200', { type: 'html' }],
    ['a passing 403', { type: 'answer', status: 403 }],
    ['a passing redirect', { type: 'redirect' }],
    ["the importer's quota 400", { type: 'quota' }],
    ['a connection that breaks before the call has an effect', { type: 'reset', when: 'before' }],
    ['a connection that breaks after the batch was accepted', { type: 'reset', when: 'after' }],
    ['an answer that breaks off', { type: 'truncate' }],
    ['an answer of which half is missing', { type: 'truncate', cleanly: true }],
  ];

  it.each(passing)('%s, to a batch as well as to a question or a look at the list', async (_name, action) => {
    await using engine = await startEngine({ sluice: fastTime(1_000) });
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(COUNT));
    sandbox.addFault({ on: 'importer', nth: 2, times: 2, action });
    if (action.type !== 'quota') {
      for (const on of ['info', 'lists'] satisfies RouteKind[])
        sandbox.addFault({ on, nth: 1, times: 2, action });
    }
    const run = await runFully(sluice, exportId);
    expect(run).toMatchObject(ALL);
    expect(held(sandbox)).toEqual(wanted(COUNT));
    expect(sandbox.faults().every(({ struck }) => struck === 2)).toBe(true);
    expect(sandbox.summary().invariants.overlapsNotExcused).toBe(0);
  });

  it('a destination that falls silent after it has accepted a batch, or amid a question', async () => {
    const patience = createPatience();
    const { startDeadline } = patience;
    await using engine = await startEngine({ sluice: { ...fastTime(1_000), startDeadline } });
    const { sandbox, sluice } = engine;
    patience.runOutAt(sandbox);
    const exportId = await exportOf(engine, people(COUNT));
    for (const on of ['importer', 'info'] satisfies RouteKind[])
      sandbox.addFault({ on, nth: 2, action: { type: 'hang', when: 'after' } });
    const run = await runFully(sluice, exportId);
    expect(run).toMatchObject(ALL);
    expect(held(sandbox)).toEqual(wanted(COUNT));
    expect(sandbox.faults().every(({ struck }) => struck === 1)).toBe(true);
    // The batch that nobody answered for went out again.
    expect(imports(sandbox)).toHaveLength(4);
  });

  it('all of it in one run, beside batches that are lost or late and people who are refused', async () => {
    const patience = createPatience();
    const { startDeadline } = patience;
    await using engine = await startEngine({ sluice: { ...fastTime(1_000), startDeadline } });
    const { sandbox, sluice } = engine;
    patience.runOutAt(sandbox);
    const count = 5_000;
    const exportId = await exportOf(engine, people(count));
    const bad = { named: emailOf(700), unnamed: emailOf(1_700), later: emailOf(2_700) };
    for (const how of ['named', 'unnamed', 'later'] as const)
      sandbox.refuseAddresses({ emails: [bad[how]], how });
    const lost: FaultAction[] = [
      { type: 'batch', status: 'failed', processed: 100 },
      { type: 'batch', status: 'interrupted', processed: 100 },
      { type: 'withhold', status: 'active', polls: 3 },
      { type: 'hang', when: 'after' },
    ];
    const actions = [...passing.map(([, action]) => action), ...lost];
    actions.forEach((action, index) => sandbox.addFault({ on: 'importer', nth: index + 2, action }));
    passing
      .filter(([, { type }]) => type !== 'quota')
      .forEach(([, action], index) => sandbox.addFault({ on: 'info', nth: 2 * index + 1, action }));

    const run = await runFully(sluice, exportId);

    expect(sandbox.faults().filter(({ struck }) => struck !== 1)).toEqual([]);
    expect(run).toMatchObject({
      state: 'SUCCEEDED_WITH_WARNINGS',
      problem: null,
      progress: { toSend: count, notSent: 0 },
    });
    // So many faults in a row can strike one batch three times: its people, perhaps with a bad address among them, are
    // unconfirmed. The next run asks about them first, and sends those of whom nothing is known.
    const { rejected: known, unconfirmed } = run.progress;
    expect(known).toBeLessThanOrEqual(3);
    const next = await runFully(sluice, exportId);
    const { toSend } = next.progress;
    expect(toSend).toBeGreaterThanOrEqual(3);
    expect(toSend).toBeLessThanOrEqual(known + unconfirmed);
    expect(next.progress).toMatchObject({ unchanged: count - toSend, confirmed: toSend - 3, rejected: 3 });
    const rejected = (await rejectionsOf(sluice, next.id)).map(({ email }) => email ?? '');
    expect(rejected.sort()).toEqual(Object.values(bad).sort());
    const isBad = (line: string) => Object.values(bad).some((email) => line.startsWith(email));
    expect(held(sandbox)).toEqual(wanted(count).filter((line) => !isBad(line)));

    const before = imports(sandbox).length;
    const last = await runFully(sluice, exportId);
    expect(last.progress).toMatchObject({ unchanged: count - 3, toSend: 3, rejected: 3 });
    expect(imports(sandbox)).toHaveLength(before);
  });

  it.each(['importer', 'info', 'lists'] satisfies RouteKind[])(
    'Retry-After: nothing at all is sent before it has run out (%s)',
    async (on) => {
      const timeScale = 1_000;
      await using engine = await startEngine({
        sandbox: { timeScale },
        sluice: { env: { SLUICE_SANDBOX_TIME_SCALE: String(timeScale) } },
      });
      const { sandbox, sluice } = engine;
      const exportId = await exportOf(engine, people(10_000));
      sandbox.addFault({ on, nth: 1, action: { type: 'rate-limit', retryAfterSeconds: 600 } });
      const run = await runFully(sluice, exportId);
      expect(run).toMatchObject({ state: 'SUCCEEDED', progress: { confirmed: 10_000 } });
      const refusedAt = sandbox.log.find(({ status }) => status === 429)?.at ?? NaN;
      const later = sandbox.log.map(({ at }) => at - refusedAt).filter((afterMs) => afterMs > 0);
      // What had got its turn already still arrives, however late; all others, of many more, have waited.
      const early = later.filter((afterMs) => afterMs < 600_000);
      expect(early.length).toBeLessThanOrEqual(MAX_IN_FLIGHT);
      expect(later.length - early.length).toBeGreaterThan(MAX_IN_FLIGHT);
    },
  );
});

describe('contacts that the importer refuses at once', () => {
  it('cost nobody else: the one that it names is rejected, with its reason', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    sandbox.refuseAddresses({ emails: [emailOf(33)], how: 'named', reason: 'We do not like it.' });
    const run = await runFully(sluice, await exportOf(engine, people(300)));
    expect(run).toMatchObject({
      state: 'SUCCEEDED_WITH_WARNINGS',
      progress: { toSend: 300, confirmed: 299, rejected: 1, unconfirmed: 0, notSent: 0 },
    });
    expect(held(sandbox)).toEqual(wanted(300).filter((line) => !line.startsWith(emailOf(33))));
    expect(await rejectionsOf(sluice, run.id)).toEqual([
      {
        profileId: '33',
        email: emailOf(33),
        reason: 'REFUSED_BY_DESTINATION',
        detail: expect.stringContaining('We do not like it.') as string,
      },
    ]);
    expect(imports(sandbox)).toHaveLength(3);
  });

  it('are found by halving when it names nobody', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    sandbox.refuseAddresses({ emails: [emailOf(7)], how: 'unnamed' });
    const run = await runFully(sluice, await exportOf(engine, people(250)));
    expect(run).toMatchObject({
      state: 'SUCCEEDED_WITH_WARNINGS',
      progress: { confirmed: 249, rejected: 1, unconfirmed: 0, notSent: 0 },
    });
    expect((await rejectionsOf(sluice, run.id)).map(({ email }) => email)).toEqual([emailOf(7)]);
    // 250 contacts are halved eight times; each time two halves are sent.
    expect(imports(sandbox).length).toBeLessThanOrEqual(1 + 2 * 8);
    expect(sandbox.contactCount).toBe(249);
  });

  it('cost few calls, also when several of many are bad: each one halving, and only themselves', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const bad = [3, 4, 333, 700, 999].map(emailOf);
    sandbox.refuseAddresses({ emails: bad, how: 'unnamed' });
    const run = await runFully(sluice, await exportOf(engine, people(1_000)));
    expect(run).toMatchObject({ progress: { confirmed: 995, rejected: 5, unconfirmed: 0, notSent: 0 } });
    expect((await rejectionsOf(sluice, run.id)).map(({ email }) => email).sort()).toEqual(bad);
    expect(held(sandbox)).toEqual(
      wanted(1_000).filter((line) => !bad.some((email) => line.startsWith(email))),
    );
    // Four batches, and for each bad one at most eight halvings into two.
    expect(imports(sandbox).length).toBeLessThanOrEqual(4 + 2 * 8 * bad.length);
  });

  it('may be all of them', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    sandbox.refuseAddresses({ matching: /./, how: 'named' });
    const run = await runFully(sluice, await exportOf(engine, people(5)));
    expect(run).toMatchObject({
      state: 'SUCCEEDED_WITH_WARNINGS',
      progress: { confirmed: 0, rejected: 5, notSent: 0 },
    });
    expect(sandbox.contactCount).toBe(0);
  });
});

describe('contacts that the importer fails later', () => {
  it('are rejected, each for itself; whoever unsubscribed stays unsubscribed', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    sandbox.exclude('@excluded.example', 'end');
    sandbox.bounce('bounced@example.com');
    sandbox.addContacts([{ email: 'left@example.com', firstName: 'Was', lists: [1] }]);
    sandbox.unsubscribe('left@example.com', 1);
    const bad = ['anybody@excluded.example', 'bounced@example.com', 'Left@example.com', "o'hara@example.com"];
    const rows = bad.map((email, n) => `bad${n},${email},Bad,,`).join('\n');
    const run = await runFully(sluice, await exportOf(engine, `${people(50)}${rows}\n`));
    expect(run).toMatchObject({
      state: 'SUCCEEDED_WITH_WARNINGS',
      progress: { toSend: 54, accepted: 54, confirmed: 50, rejected: 4, unconfirmed: 0, notSent: 0 },
    });
    const rejections = await rejectionsOf(sluice, run.id);
    expect(rejections.map(({ email }) => email).sort()).toEqual([...bad].sort());
    expect(new Set(rejections.map(({ reason }) => reason))).toEqual(new Set(['REFUSED_BY_DESTINATION']));
    expect(rejections.every(({ detail }) => detail?.includes('does not say why'))).toBe(true);
    expect([...sandbox.members(1)].sort()).toEqual(Array.from({ length: 50 }, (_, n) => emailOf(n + 1)));
    expect([...sandbox.members(1, 2)]).toEqual(['left@example.com']);
    expect(sandbox.contact('left@example.com')).toMatchObject({ firstName: 'Was' });
    expect(sandbox.summary().invariants.overriddenOptOuts).toBe(0);
  });
});
