import { refusalOf } from './helpers/connection-calls.js';
import {
  bodiesOf,
  emailOf,
  exportOf,
  fastTime,
  finish,
  held,
  imports,
  people,
  runFully,
  startEngine,
  wanted,
} from './helpers/engine.js';
import type { Sluice } from './helpers/sluice.js';

const MAPPING = { email: 'email', firstName: 'first_name', lastName: 'last_name', phone: 'phone' };
const HEADER = 'id,email,first_name,last_name,phone';

const runForced = async (sluice: Sluice, exportId: string) => {
  const { runExport } = await sluice.query<{ runExport: { id: string } }>(
    'mutation ($exportId: ID!) { runExport(exportId: $exportId, force: true) { id } }',
    { exportId },
  );
  return finish(sluice, runExport.id);
};

const changeMapping = (sluice: Sluice, id: string, mapping: Record<string, string | null>) =>
  sluice.query(
    'mutation ($id: ID!, $input: UpdateExportInput!) { updateExport(id: $id, input: $input) { id } }',
    {
      id,
      input: { mapping },
    },
  );

describe('the second run of an export', () => {
  it('makes no request for people who are at the destination as they should be', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, people(600));
    await runFully(sluice, exportId);
    const before = imports(sandbox).length;

    const run = await runFully(sluice, exportId);

    expect(run).toMatchObject({ state: 'SUCCEEDED', progress: { members: 600, unchanged: 600, toSend: 0 } });
    expect(imports(sandbox)).toHaveLength(before);
  });

  it('sends who is new or changed, and nobody else', async () => {
    await using engine = await startEngine({ sandbox: { keepBodies: true } });
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, people(600));
    await runFully(sluice, exportId);
    const before = imports(sandbox).length;
    const changed = `7,${emailOf(7)},Changed,Last 7,555-7`;
    await sluice.importCsv(`${HEADER}\n${people(601).split('\n').slice(1, -1).join('\n')}\n${changed}\n`, {
      segment: 'All',
    });

    const run = await runFully(sluice, exportId);

    expect(run.progress).toMatchObject({ members: 601, unchanged: 599, toSend: 2, confirmed: 2 });
    const [batch = []] = bodiesOf(imports(sandbox).slice(before));
    expect(batch.map((contact) => [contact.email, contact.first_name])).toEqual([
      [emailOf(7), 'Changed'],
      [emailOf(601), 'First 601'],
    ]);
  });

  it('sends nothing for an address that changed by case alone', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, `${HEADER}\n1,ann@example.com,Ann,,\n2,bob@example.com,Bob,,\n`);
    await runFully(sluice, exportId);
    const before = imports(sandbox).length;
    await sluice.importCsv(`${HEADER}\n1,Ann@Example.COM,Ann,,\n2,bob@example.com,Bob,,\n`, {
      segment: 'All',
    });

    expect((await runFully(sluice, exportId)).progress).toMatchObject({ unchanged: 2, toSend: 0 });
    expect(imports(sandbox)).toHaveLength(before);
  });

  it('lets the second of two people with one address take the place of the first who went', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(
      engine,
      `${HEADER}\n1,twin@example.com,Ann,,\n2,TWIN@example.com,Zoe,,\n`,
    );
    await runFully(sluice, exportId);
    expect(sandbox.contact('twin@example.com')?.firstName).toBe('Ann');
    await sluice.importCsv(`${HEADER}\n2,TWIN@example.com,Zoe,,\n`, { segment: 'All' });

    expect((await runFully(sluice, exportId)).progress).toMatchObject({
      members: 1,
      toSend: 1,
      confirmed: 1,
    });
    expect(sandbox.contact('twin@example.com')?.firstName).toBe('Zoe');
    expect(sandbox.contactCount).toBe(1);
  });
});

describe('what was sent without an outcome', () => {
  it('is not trusted: who goes back to what was confirmed before is sent again', async () => {
    // Each time it counts as lost after five minutes, four times in all.
    await using engine = await startEngine({ sluice: fastTime(4_000) });
    const { sluice, sandbox } = engine;
    const ann = (name: string) => `${HEADER}\n1,ann@example.com,${name},,\n2,bob@example.com,Bob,,\n`;
    const exportId = await exportOf(engine, ann('Ann'));
    await runFully(sluice, exportId);
    await sluice.importCsv(ann('Wrong'), { segment: 'All' });
    sandbox.addFault({ on: 'importer', times: null, action: { type: 'withhold', polls: 1_000_000 } });
    expect((await runFully(sluice, exportId)).progress).toMatchObject({ toSend: 1, unconfirmed: 1 });
    sandbox.clearFaults();
    await sluice.importCsv(ann('Ann'), { segment: 'All' });

    expect((await runFully(sluice, exportId)).progress).toMatchObject({
      unchanged: 1,
      toSend: 1,
      confirmed: 1,
    });
    expect(sandbox.contact('ann@example.com')?.firstName).toBe('Ann');
  });
});

describe('a mapping that changes', () => {
  it('sends those for whom it makes a difference', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    const csv = `${HEADER}\n1,ann@example.com,Ann,Lee,555\n2,bob@example.com,Bob,,\n`;
    const exportId = await exportOf(engine, csv, { mapping: { email: 'email', firstName: 'first_name' } });
    await runFully(sluice, exportId);
    await changeMapping(sluice, exportId, { email: 'email', firstName: 'first_name', lastName: 'last_name' });

    expect((await runFully(sluice, exportId)).progress).toMatchObject({
      unchanged: 1,
      toSend: 1,
      confirmed: 1,
    });
    expect(sandbox.contact('ann@example.com')).toMatchObject({
      firstName: 'Ann',
      lastName: 'Lee',
      phone: '',
    });
  });

  it('remembers what was sent before a field was taken out, and clears it when it comes back empty', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(
      engine,
      `${HEADER}\n1,ann@example.com,Ann,Lee,\n2,bob@example.com,Bob,,\n`,
    );
    await runFully(sluice, exportId);
    // Taken out: nothing to do for it, also when she changes otherwise.
    await changeMapping(sluice, exportId, { email: 'email', lastName: 'last_name' });
    await sluice.importCsv(`${HEADER}\n1,ann@example.com,,Moore,\n2,bob@example.com,Bob,,\n`, {
      segment: 'All',
    });
    expect((await runFully(sluice, exportId)).progress).toMatchObject({ unchanged: 1, toSend: 1 });
    expect(sandbox.contact('ann@example.com')).toMatchObject({ firstName: 'Ann', lastName: 'Moore' });

    await changeMapping(sluice, exportId, MAPPING);
    expect((await runFully(sluice, exportId)).progress).toMatchObject({ unchanged: 1, toSend: 1 });
    expect(sandbox.contact('ann@example.com')).toMatchObject({ firstName: '', lastName: 'Moore' });
  });
});

describe('a forced run', () => {
  it('sends everybody, and repairs what was changed at the destination', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, people(300));
    await runFully(sluice, exportId);
    sandbox.addContacts([{ email: emailOf(3), firstName: 'Somebody else' }]);

    expect((await runFully(sluice, exportId)).progress.unchanged).toBe(300);
    expect((await runForced(sluice, exportId)).progress).toMatchObject({
      unchanged: 0,
      toSend: 300,
      confirmed: 300,
    });
    expect(held(sandbox)).toEqual(wanted(300));
  });

  it('is another request than one that is not forced, under the same idempotency key', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    const exportId = await exportOf(engine, people(3));
    const ask = (force: boolean) =>
      sluice.query(
        'mutation ($id: ID!, $force: Boolean!) { runExport(exportId: $id, idempotencyKey: "k", force: $force) { id } }',
        { id: exportId, force },
      );
    await ask(true);
    expect((await refusalOf(ask(false))).code).toBe('IDEMPOTENCY_KEY_REUSED');
  });
});

describe('another list', () => {
  it('gets everybody, and the old one is left alone', async () => {
    await using engine = await startEngine({
      sandbox: {
        lists: [
          { id: 1, name: 'Old' },
          { id: 2, name: 'New' },
        ],
      },
    });
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, people(300));
    await runFully(sluice, exportId);
    await sluice.query('mutation ($id: ID!) { updateExport(id: $id, input: { listId: "2" }) { id } }', {
      id: exportId,
    });

    expect((await runFully(sluice, exportId)).progress).toMatchObject({
      unchanged: 0,
      toSend: 300,
      confirmed: 300,
    });
    expect([...sandbox.members(1)]).toHaveLength(300);
    expect([...sandbox.members(2)]).toHaveLength(300);
  });
});
