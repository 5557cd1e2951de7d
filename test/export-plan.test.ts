import { emailOf, exportOf, imports, people, runFully, startEngine, type Engine } from './helpers/engine.js';

const LEAVERS = { leavers: 'UNSUBSCRIBE', leaverHoldPercent: 100 } as const;

async function planOf({ sluice }: Engine, exportId: string): Promise<Record<string, unknown>> {
  const { planExport } = await sluice.query<{ planExport: Record<string, unknown> }>(
    `query ($exportId: ID!) {
      planExport(exportId: $exportId) {
        members new keptFormerAddresses changed unchanged leavers returning refused
        skipped { reason count }
        importerCalls otherCalls expectedMinutes accountLimit accountContacts
        problem { code message remedy }
      }
    }`,
    { exportId },
  );
  return planExport;
}

/** The rows of these people and of whoever is given besides. */
function csv(ns: readonly number[], ...rows: string[]): string {
  const [header = ''] = people(0).split('\n');
  return [header, ...ns.map((n) => people(1, n).split('\n')[1] ?? ''), ...rows, ''].join('\n');
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

describe('the plan of an export', () => {
  it('counts everybody before the first run, and sends nothing', async () => {
    await using engine = await startEngine({ sandbox: { subscriberLimit: 5_000 } });
    const exportId = await exportOf(
      engine,
      csv(upTo(600), '901,,No address,,', '902,bad address@x.com,Bad,,', `903,${emailOf(1)},Twin,,`),
    );
    const before = engine.sandbox.log.length;

    const plan = await planOf(engine, exportId);

    expect(plan).toMatchObject({
      members: 603,
      new: 600,
      changed: 0,
      unchanged: 0,
      leavers: 0,
      returning: 0,
      refused: 0,
      skipped: [
        { reason: 'MISSING_EMAIL', count: 1 },
        { reason: 'INVALID_EMAIL', count: 1 },
        { reason: 'DUPLICATE_EMAIL', count: 1 },
      ],
      importerCalls: 3,
      otherCalls: 5,
      accountLimit: 5_000,
      accountContacts: 0,
      problem: null,
    });
    expect(plan.expectedMinutes).toBeGreaterThan(0);
    expect(engine.sandbox.log.slice(before).map(({ kind }) => kind)).toEqual(['account']);
  });

  it('tells new, changed, unchanged, leaving and returning people apart, as the run then does', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, csv(upTo(20)), LEAVERS);
    await runFully(sluice, exportId);
    await sluice.importCsv(csv(upTo(19)), { segment: 'All' });
    await runFully(sluice, exportId);
    // 20 returns, 1 leaves, 2 changes, 3 has another address, 21 is new.
    await sluice.importCsv(
      csv([4, ...upTo(20).slice(4), 21], '2,p000002@example.com,Changed,,', '3,moved@example.com,First 3,,'),
      { segment: 'All' },
    );

    const plan = await planOf(engine, exportId);

    expect(plan).toMatchObject({
      members: 20,
      new: 2,
      keptFormerAddresses: 0,
      changed: 1,
      unchanged: 16,
      leavers: 2,
      returning: 1,
      importerCalls: 2,
      // The list twice, an outcome for each batch, three about the return, two about the former address.
      otherCalls: 9,
    });
    const before = imports(sandbox).length;
    const run = await runFully(sluice, exportId);
    expect(run.progress).toMatchObject({ members: 20, unchanged: 16, leavers: 2, toSend: 6, confirmed: 6 });
    expect(imports(sandbox)).toHaveLength(before + 2);
    expect(await planOf(engine, exportId)).toMatchObject({ unchanged: 20, importerCalls: 0 });
  });

  it('says who would be on the list under two addresses, where leavers stay', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, csv(upTo(10)), { leavers: 'KEEP' });
    await runFully(sluice, exportId);
    // 1 has gone, 2 and 3 have another address, 11 is new.
    await sluice.importCsv(
      csv([...upTo(11).slice(3)], '2,moved2@example.com,,,', '3,moved3@example.com,,,'),
      {
        segment: 'All',
      },
    );
    expect(await planOf(engine, exportId)).toMatchObject({ new: 3, keptFormerAddresses: 2, leavers: 0 });

    await runFully(sluice, exportId);

    const onList = [...sandbox.members(1)];
    for (const email of [emailOf(2), 'moved2@example.com', emailOf(3), 'moved3@example.com'])
      expect(onList).toContain(email);
    expect(onList).toHaveLength(13);
  });

  it('says what would keep the run from going on by itself', async () => {
    await using engine = await startEngine();
    const { sluice, connectionId } = engine;
    const exportId = await exportOf(engine, csv(upTo(10)), { ...LEAVERS, leaverHoldPercent: 20 });
    await runFully(sluice, exportId);
    await sluice.importCsv(csv(upTo(7)), { segment: 'All' });
    expect(await planOf(engine, exportId)).toMatchObject({
      leavers: 3,
      problem: { code: 'TOO_MANY_LEAVERS' },
    });

    await sluice.query(
      'mutation ($id: ID!) { updateConnection(id: $id, input: { profileLimit: 5 }) { id } }',
      { id: connectionId },
    );
    expect(await planOf(engine, exportId)).toMatchObject({
      members: 7,
      new: 0,
      importerCalls: 0,
      problem: { code: 'TOO_MANY_PROFILES' },
    });
  });

  it('does without the capacity of an account whose key may not read it', async () => {
    await using engine = await startEngine({ sandbox: { canReadAccount: false } });
    const exportId = await exportOf(engine, csv(upTo(2)));
    expect(await planOf(engine, exportId)).toMatchObject({
      accountLimit: null,
      accountContacts: null,
      new: 2,
    });
  });

  it('is refused for a detached export, and for an unknown one', async () => {
    await using engine = await startEngine();
    const exportId = await exportOf(engine, csv(upTo(2)));
    await expect(planOf(engine, 'nobody')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await engine.sluice.query('mutation ($ids: [ID!]!) { detachExports(ids: $ids) { id } }', {
      ids: [exportId],
    });
    await expect(planOf(engine, exportId)).rejects.toMatchObject({ code: 'CONFLICT' });
  });
});
