import { jest } from '@jest/globals';
import type { FaultAction } from '../sandbox/faults.js';
import type { Call } from '../sandbox/journal.js';
import type { Sandbox } from '../sandbox/sandbox.js';
import { systemClock } from '../src/clock.js';
import { emailOf, exportOf, finish, people, rejectionsOf, runFully, startEngine } from './helpers/engine.js';
import { startRun } from './helpers/flows.js';
import { exportOfReturning, OFF_LIST, ON_LIST, setMembers, standing, upTo } from './helpers/returning.js';
import { startSluice, temporaryFolder } from './helpers/sluice.js';

const isPost = ({ kind, method }: Call) => kind === 'contactLists' && method === 'POST';
const isLookUp = ({ kind, method }: Call) => kind === 'contactLists' && method === 'GET';

/** Does something, once, as soon as such a call was answered. */
function once(sandbox: Sandbox, fits: (call: Call) => boolean, act: () => void): void {
  const stop = sandbox.on('call', (call) => {
    if (!fits(call)) return;
    stop();
    act();
  });
}

const FAILURES: [string, FaultAction][] = [
  ['500', { type: 'answer', status: 500 }],
  ['503', { type: 'answer', status: 503 }],
  ['500 and a Retry-After', { type: 'answer', status: 500, retryAfterSeconds: 5 }],
  ['429 and a Retry-After', { type: 'rate-limit', retryAfterSeconds: 5 }],
  ['nothing, because the connection breaks', { type: 'reset', when: 'before' }],
  ['a page in HTML', { type: 'html' }],
];

describe('whoever Sluice removed and returns', () => {
  it.each(FAILURES)(
    'and opts out after the call that puts the person back was answered with %s stays off the list',
    async (_name, action) => {
      await using engine = await startEngine();
      const { sandbox, sluice } = engine;
      const exportId = await exportOfReturning(engine, 2);
      sandbox.addFault({ on: 'contactLists', method: 'POST', action });
      once(sandbox, isPost, () => {
        sandbox.unsubscribe(emailOf(1), 1);
      });

      const run = await runFully(sluice, exportId);

      expect(sandbox.summary().invariants).toMatchObject({ overriddenOptOuts: 0, resubscriptions: 0 });
      expect(standing(sandbox, 1)).toBe(OFF_LIST);
      expect(await rejectionsOf(sluice, run.id)).toMatchObject([{ email: emailOf(1), reason: 'OPTED_OUT' }]);
      expect(sandbox.log.filter(isPost)).toHaveLength(1);
    },
  );

  it('is back already when the look-up is repeated: nothing is posted again', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOfReturning(engine, 2);
    sandbox.addFault({ on: 'contactLists', method: 'POST', action: { type: 'reset', when: 'after' } });

    expect(await runFully(sluice, exportId)).toMatchObject({
      state: 'SUCCEEDED',
      progress: { confirmed: 1 },
    });
    expect(standing(sandbox, 1)).toBe(ON_LIST);
    expect(sandbox.log.filter(isPost)).toHaveLength(1);
  });

  it('is looked up right before each call that puts the person back, and nothing of ours comes between', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOfReturning(engine, 40);
    // Two thousand newcomers are sent meanwhile.
    await setMembers(engine, [...upTo(40), ...upTo(2_000).map((n) => 1_000 + n)]);
    sandbox.addFault({
      on: 'contactLists',
      method: 'POST',
      nth: 5,
      times: 3,
      action: { type: 'answer', status: 500 },
    });
    sandbox.addFault({ on: 'contactLists', method: 'POST', nth: 20, action: { type: 'rate-limit' } });
    const before = sandbox.log.length;

    expect((await runFully(sluice, exportId)).state).toBe('SUCCEEDED');

    const calls = sandbox.log.slice(before).filter(({ kind }) => kind !== 'importer');
    for (const [at, call] of calls.entries()) {
      if (isPost(call)) expect(isLookUp(calls[at - 1] ?? call)).toBe(true);
    }
    expect(sandbox.summary().invariants).toMatchObject({ overriddenOptOuts: 0, resubscriptions: 39 });
  });

  it.each(FAILURES)(
    'is left to the next run after the third answer of %s, and the others are back',
    async (_name, action) => {
      await using engine = await startEngine();
      const { sandbox, sluice } = engine;
      const exportId = await exportOfReturning(engine, 5);
      // The calls for one person: the others' pass in between.
      const containing = `"contact":"${sandbox.contact(emailOf(2))?.id ?? ''}"`;
      sandbox.addFault({ on: 'contactLists', method: 'POST', containing, times: null, action });

      const run = await runFully(sluice, exportId);

      expect(run).toMatchObject({
        state: 'SUCCEEDED_WITH_WARNINGS',
        problem: null,
        progress: { toSend: 4, confirmed: 3, rejected: 1 },
      });
      expect(await rejectionsOf(sluice, run.id)).toMatchObject([
        { email: emailOf(2), reason: 'REFUSED_BY_DESTINATION' },
      ]);
      expect(sandbox.log.filter(({ fault }) => fault === action.type)).toHaveLength(3);
      expect([1, 2, 3, 4].map((n) => standing(sandbox, n))).toEqual([ON_LIST, OFF_LIST, ON_LIST, ON_LIST]);

      sandbox.clearFaults();
      expect(await runFully(sluice, exportId)).toMatchObject({
        state: 'SUCCEEDED',
        progress: { confirmed: 1 },
      });
      expect(standing(sandbox, 2)).toBe(ON_LIST);
    },
  );

  it.each(['now', 'monotonic'] as const)(
    'is looked up again when more than a second has passed since the answer by the clock `%s` alone',
    async (reading) => {
      await using engine = await startEngine();
      const { sandbox, sluice } = engine;
      const exportId = await exportOfReturning(engine, 2);
      // From the first look-up to the second that clock of the machine jumps by 600 ms each time it is read.
      let stepMs = 0;
      let aheadMs = 0;
      const read = systemClock[reading].bind(systemClock);
      const clock = jest.spyOn(systemClock, reading).mockImplementation(() => read() + (aheadMs += stepMs));
      let lookUps = 0;
      const stop = sandbox.on('request', (call) => {
        if (!isLookUp(call)) return;
        lookUps += 1;
        stepMs = lookUps === 1 ? 600 : 0;
        if (lookUps === 2) sandbox.unsubscribe(emailOf(1), 1);
      });
      const run = await runFully(sluice, exportId).finally(() => {
        stop();
        clock.mockRestore();
      });

      expect(lookUps).toBe(2);
      expect(sandbox.log.filter(isPost)).toHaveLength(0);
      expect(await rejectionsOf(sluice, run.id)).toMatchObject([{ email: emailOf(1), reason: 'OPTED_OUT' }]);
    },
  );

  it('is looked up anew by whoever takes the run up', async () => {
    await using folder = await temporaryFolder();
    await using engine = await startEngine({ sluice: { folder: folder.path } });
    const { sandbox, sluice } = engine;
    const exportId = await exportOfReturning(engine, 2);
    sandbox.addFault({
      on: 'contactLists',
      method: 'POST',
      times: null,
      action: { type: 'hang', when: 'before' },
    });
    const posted = sandbox.next('request', isPost);
    const runId = await startRun(sluice, exportId);
    await posted;
    await sluice.stop();
    sandbox.clearFaults();
    sandbox.unsubscribe(emailOf(1), 1);

    await using restarted = await startSluice({ sandbox, folder: folder.path });
    const run = await finish(restarted, runId);

    expect(run.progress).toMatchObject({ rejected: 1, confirmed: 0 });
    expect(sandbox.summary().invariants).toMatchObject({ overriddenOptOuts: 0, resubscriptions: 0 });
    expect(standing(sandbox, 1)).toBe(OFF_LIST);
  });
});

describe('a destination that cannot answer for one person', () => {
  it.each([
    ['whose address it is', 'contacts'],
    ['on which lists the contact is', 'contactLists'],
  ] as const)('to the question %s leaves that person to the next run, and nobody else', async (_what, on) => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOfReturning(engine, 11);
    const containing = on === 'contacts' ? emailOf(4) : `/contacts/${sandbox.contact(emailOf(4))?.id ?? ''}/`;
    sandbox.addFault({ on, method: 'GET', containing, times: null, action: { type: 'answer', status: 500 } });

    const run = await runFully(sluice, exportId);

    expect(run).toMatchObject({
      state: 'SUCCEEDED_WITH_WARNINGS',
      problem: null,
      progress: { unchanged: 1, toSend: 10, confirmed: 9, rejected: 1 },
    });
    const [rejection] = await rejectionsOf(sluice, run.id);
    expect(rejection).toMatchObject({ email: emailOf(4), reason: 'REFUSED_BY_DESTINATION' });
    expect(rejection?.detail).toMatch(/could not be looked up .* status 500/);
    expect(sandbox.log.filter(({ fault }) => fault === 'answer')).toHaveLength(3);

    sandbox.clearFaults();
    expect(await runFully(sluice, exportId)).toMatchObject({
      state: 'SUCCEEDED',
      progress: { unchanged: 10, toSend: 1, confirmed: 1 },
    });
    expect(standing(sandbox, 4)).toBe(ON_LIST);
  });

  it('leaves whoever moved to the next run when the former address cannot be looked up', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(4));
    await runFully(sluice, exportId);
    await sluice.importCsv('id,email\n2,new2@example.com\n3,new3@example.com\n');
    sandbox.addFault({
      on: 'contacts',
      containing: emailOf(2),
      times: null,
      action: { type: 'html' },
    });

    const run = await runFully(sluice, exportId);

    expect(run).toMatchObject({
      state: 'SUCCEEDED_WITH_WARNINGS',
      problem: null,
      progress: { toSend: 2, confirmed: 1, rejected: 1 },
    });
    expect(sandbox.contact('new2@example.com')).toBeUndefined();
    sandbox.clearFaults();
    expect((await runFully(sluice, exportId)).progress).toMatchObject({ confirmed: 1 });
    expect(standing(sandbox, 3)).toBe(ON_LIST);
  });

  it('is waited for when it answers nothing else either: nobody is rejected', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOfReturning(engine, 6);
    // Away from the first look-up on, for so many calls that everybody would have been tried three times.
    once(
      sandbox,
      ({ kind }) => kind === 'contacts',
      () => {
        sandbox.addFault({ on: 'any', times: 30, action: { type: 'answer', status: 502 } });
      },
    );

    const run = await runFully(sluice, exportId);

    expect(run).toMatchObject({ state: 'SUCCEEDED', progress: { toSend: 5, confirmed: 5, rejected: 0 } });
    expect(sandbox.log.filter(({ status }) => status === 502)).toHaveLength(30);
    expect(sandbox.summary().invariants).toMatchObject({ overriddenOptOuts: 0, resubscriptions: 5 });
  });
});
