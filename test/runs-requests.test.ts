import { exportOf, finish, imports, people, startEngine, stoppedTime } from './helpers/engine.js';
import { createExportOf, segmentNamed } from './helpers/flows.js';
import type { Sluice } from './helpers/sluice.js';

async function request(sluice: Sluice, exportId: string, idempotencyKey?: string) {
  const { runExport } = await sluice.query<{ runExport: { id: string; state: string } }>(
    'mutation ($exportId: ID!, $key: String) { runExport(exportId: $exportId, idempotencyKey: $key) { id state } }',
    { exportId, key: idempotencyKey ?? null },
  );
  return runExport;
}

describe('requests for runs of one export', () => {
  it('make one active and one queued run at most; whoever finds one queued gets that one', async () => {
    const time = stoppedTime();
    await using engine = await startEngine({ sandbox: time.sandbox });
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(3));
    const accepted = sandbox.next('accepted');
    const active = await request(sluice, exportId);
    await accepted;
    const others = await Promise.all(Array.from({ length: 8 }, () => request(sluice, exportId)));
    const ids = new Set(others.map(({ id }) => id));
    expect(ids.size).toBe(1);
    expect(ids).not.toContain(active.id);
    expect(others.every(({ state }) => state === 'QUEUED')).toBe(true);

    // What changes while it waits is sent with it.
    await sluice.importCsv('id,email,first_name,last_name,phone\n3,late@example.com,,,\n');
    time.letGo();
    const [queued] = ids;
    expect(await finish(sluice, active.id)).toMatchObject({ state: 'SUCCEEDED' });
    expect(await finish(sluice, queued ?? '')).toMatchObject({
      state: 'SUCCEEDED',
      progress: { unchanged: 2, confirmed: 1 },
    });
    expect(imports(sandbox)).toHaveLength(2);
    expect(sandbox.contact('late@example.com')).toBeDefined();
    const { exportRuns } = await sluice.query<{
      exportRuns: { nodes: { id: string }[]; totalCount: number };
    }>('{ exportRuns { totalCount nodes { id } } }');
    expect(exportRuns).toEqual({ totalCount: 2, nodes: [{ id: queued }, { id: active.id }] });
  });

  it('go to the list that the export has when the queued run begins', async () => {
    const time = stoppedTime();
    await using engine = await startEngine({
      sandbox: {
        ...time.sandbox,
        lists: [
          { id: 1, name: 'Newsletter' },
          { id: 2, name: 'Offers' },
        ],
      },
    });
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(3));
    const accepted = sandbox.next('accepted');
    const active = await request(sluice, exportId);
    await accepted;
    const queued = await request(sluice, exportId);
    await sluice.query('mutation ($id: ID!) { updateExport(id: $id, input: { listId: "2" }) { id } }', {
      id: exportId,
    });
    time.letGo();
    await finish(sluice, active.id);
    expect([...sandbox.members(1)]).toHaveLength(3);
    await finish(sluice, queued.id);
    expect([...sandbox.members(1)]).toHaveLength(3);
    expect([...sandbox.members(2)]).toHaveLength(3);
  });

  it('get the same run for the same idempotency key, also after it has ended', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    const exportId = await exportOf(engine, people(3));
    const other = await exportOf(engine, people(3), { name: 'Other' });
    const [first, again] = await Promise.all([
      request(sluice, exportId, 'key 1'),
      request(sluice, exportId, 'key 1'),
    ]);
    expect(again.id).toBe(first.id);
    await finish(sluice, first.id);
    expect(await request(sluice, exportId, 'key 1')).toMatchObject({ id: first.id, state: 'SUCCEEDED' });
    expect(imports(engine.sandbox)).toHaveLength(1);
    await expect(request(sluice, other, 'key 1')).rejects.toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED' });

    const second = await request(sluice, exportId, 'key 2');
    expect(second.id).not.toBe(first.id);
    await finish(sluice, second.id);
  });

  it('refuse an idempotency key that is empty, too long, or has control characters', async () => {
    await using engine = await startEngine();
    const exportId = await exportOf(engine, people(1));
    for (const key of ['', 'k'.repeat(201), 'a\nb']) {
      await expect(request(engine.sluice, exportId, key)).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
    }
    expect(imports(engine.sandbox)).toEqual([]);
  });
});

describe('runs of several exports', () => {
  it('share the account: a small one does not wait behind a large one', async () => {
    // A batch each 150 ms: a small run, wherever it comes in, is ready long before the large one is done.
    const timeScale = 4;
    const batches = 40;
    await using engine = await startEngine({
      sandbox: { timeScale, quotas: false },
      sluice: { env: { SLUICE_SANDBOX_TIME_SCALE: String(timeScale) } },
    });
    const { sandbox, sluice } = engine;
    const large = await exportOf(engine, people(250 * batches));
    await sluice.importCsv('id,email\ns1,small@example.com\ns2,small2@example.com\n', { segment: 'Small' });
    const segmentIds = [await segmentNamed(sluice, 'Small')];
    const small = await createExportOf(sluice, {
      connectionId: engine.connectionId,
      segmentIds,
      mapping: { email: 'email' },
    });
    const third = sandbox.next('accepted', () => sandbox.batches().length === 3);
    const largeRun = await request(sluice, large);
    await third;
    const smallRun = await request(sluice, small);
    expect(await finish(sluice, smallRun.id)).toMatchObject({
      state: 'SUCCEEDED',
      progress: { confirmed: 2 },
    });
    const sizes = imports(sandbox).map(({ contacts }) => contacts);
    expect(sizes.indexOf(2)).toBeLessThan(batches);
    expect(await finish(sluice, largeRun.id)).toMatchObject({
      state: 'SUCCEEDED',
      progress: { confirmed: 250 * batches },
    });
  });
});
