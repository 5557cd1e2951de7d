import {
  emailOf,
  exportOf,
  finish,
  imports,
  people,
  rejectionsOf,
  runFully,
  startEngine,
} from './helpers/engine.js';
import { movableClock } from './helpers/movable-clock.js';

const DAY_MS = 86_400_000;

describe('a refusal', () => {
  it('stands: the same contact is not tried again, and is reported all the same', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, people(300));
    sandbox.refuseAddresses({ emails: [emailOf(5)], how: 'later' });
    expect((await runFully(sluice, exportId)).progress).toMatchObject({ confirmed: 299, rejected: 1 });
    const before = imports(sandbox).length;

    const run = await runFully(sluice, exportId);

    expect(run).toMatchObject({
      state: 'SUCCEEDED_WITH_WARNINGS',
      progress: { unchanged: 299, toSend: 1, rejected: 1, confirmed: 0 },
    });
    expect(imports(sandbox)).toHaveLength(before);
    const [rejection] = await rejectionsOf(sluice, run.id);
    expect(rejection).toMatchObject({ email: emailOf(5), reason: 'REFUSED_BY_DESTINATION' });
    expect(rejection?.detail).toMatch(/Not tried again since \d{4}-\d\d-\d\d/);
  });

  it.each([['later'], ['named']] as const)(
    'that came %s ends when the data of the person changes',
    async (how) => {
      await using engine = await startEngine();
      const { sluice, sandbox } = engine;
      const exportId = await exportOf(engine, people(300));
      sandbox.refuseAddresses({ emails: [emailOf(5)], how });
      expect((await runFully(sluice, exportId)).progress).toMatchObject({ confirmed: 299, rejected: 1 });
      sandbox.clearFaults();
      await sluice.importCsv('id,first_name\n5,Changed\n');

      expect((await runFully(sluice, exportId)).progress).toMatchObject({ unchanged: 299, confirmed: 1 });
      expect(sandbox.contact(emailOf(5))?.firstName).toBe('Changed');
    },
  );

  it('ends after thirty days', async () => {
    const clock = movableClock();
    await using engine = await startEngine({ sluice: { clock } });
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, people(300));
    sandbox.refuseAddresses({ emails: [emailOf(5)], how: 'later' });
    await runFully(sluice, exportId);
    sandbox.clearFaults();
    clock.pass(29 * DAY_MS);
    expect((await runFully(sluice, exportId)).progress).toMatchObject({ rejected: 1, confirmed: 0 });
    clock.pass(DAY_MS);

    expect((await runFully(sluice, exportId)).progress).toMatchObject({ rejected: 0, confirmed: 1 });
  });

  it('ends for a run that is forced', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, people(300));
    sandbox.refuseAddresses({ emails: [emailOf(5)], how: 'later' });
    await runFully(sluice, exportId);
    sandbox.clearFaults();
    const { runExport } = await sluice.query<{ runExport: { id: string } }>(
      'mutation ($id: ID!) { runExport(exportId: $id, force: true) { id } }',
      { id: exportId },
    );

    expect((await finish(sluice, runExport.id)).progress).toMatchObject({ toSend: 300, confirmed: 300 });
  });

  it('of most newcomers means a full account: a problem of the run, and nothing stands', async () => {
    await using engine = await startEngine({ sandbox: { subscriberLimit: 100 } });
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, people(300));

    const run = await runFully(sluice, exportId);

    expect(run).toMatchObject({
      state: 'SUCCEEDED_WITH_WARNINGS',
      problem: { code: 'ACCOUNT_FULL' },
      progress: { confirmed: 100, rejected: 200 },
    });
    expect(run.problem?.message).toContain('200 of the 300 new contacts');
    sandbox.set({ subscriberLimit: null });
    expect(await runFully(sluice, exportId)).toMatchObject({
      state: 'SUCCEEDED',
      problem: null,
      progress: { unchanged: 100, confirmed: 200 },
    });
  });
});

describe('what was accepted and never confirmed', () => {
  it('is asked for first in the next run, and not sent again if it arrived', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, people(500));
    // The key goes while the outcome of the first batches is not known yet.
    sandbox.addFault({ on: 'info', times: null, action: { type: 'reset', when: 'before' } });
    sandbox.addFault({ on: 'importer', nth: 2, action: { type: 'revoke-key' } });
    const first = await runFully(sluice, exportId);
    expect(first.progress.unconfirmed).toBeGreaterThan(0);
    sandbox.clearFaults();
    sandbox.restoreKey();
    await sluice.query('mutation ($id: ID!) { connect(connectionId: $id) { id } }', {
      id: engine.connectionId,
    });
    const before = sandbox.log.length;

    const run = await runFully(sluice, exportId);

    expect(run).toMatchObject({ state: 'SUCCEEDED' });
    expect(run.progress.unchanged).toBe(first.progress.unconfirmed);
    const calls = sandbox.log.slice(before).map(({ kind }) => kind);
    expect(calls.indexOf('info')).toBeLessThan(calls.indexOf('importer'));
    expect(sandbox.contactCount).toBe(500);
  });
});
