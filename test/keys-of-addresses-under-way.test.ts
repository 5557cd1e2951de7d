import 'reflect-metadata';
import { Batch } from '../src/entities/batch.js';
import { ExportRun } from '../src/entities/export-run.js';
import { Rejection } from '../src/entities/rejection.js';
import { entriesOf, insert, upgraded, writeOld, type OldEntry } from './helpers/old-ledger.js';
import { temporaryFolder } from './helpers/sluice.js';

const KELVIN = '\u212A';

describe('a run of version 0.1.0 that was sending', () => {
  const RUN = {
    id: 'run',
    exportId: 'export',
    number: 4,
    trigger: 'ON_DEMAND',
    state: 'RUNNING',
    phase: 'SENDING',
    connectionId: 'connection',
    connectionRevision: 1,
    kind: 'ACTIVE_CAMPAIGN',
    account: 'account',
    listId: '1',
    runAutomations: true,
    force: false,
    ledgerId: 1,
    queuedAt: '2026-11-30T10:00:00.000Z',
    attempt: 1,
    sequence: 0,
    skipped: 0,
    unchanged: 0,
    leavers: 0,
    newcomers: 0,
    newcomersRefused: 0,
    accepted: 0,
    confirmed: 0,
    rejected: 0,
    unconfirmed: 0,
    notSent: 0,
  };
  const BATCH = {
    runId: 'run',
    checked: false,
    confirmed: 0,
    rejected: 0,
    unconfirmed: 0,
    mayHaveArrived: false,
    losses: 0,
    intentAt: '2026-11-30T10:00:00.000Z',
  };
  const NEW = { plannedRun: 4, standing: 0, delivered: null, everSent: 0 };

  async function upgradedRun(
    folder: string,
    entries: readonly OldEntry[],
    batches: readonly Readonly<Record<string, unknown>>[],
  ) {
    const leavers = entries.filter(({ task }) => task === 2).length;
    const database = await upgraded(folder, async (manager) => {
      const members = entries.length - leavers;
      await insert(manager, 'export_runs', {
        ...RUN,
        toSend: entries.length,
        newcomers: members,
        leavers,
        members,
      });
      for (const entry of entries) await writeOld(manager, { ...NEW, ...entry });
      for (const batch of batches) await insert(manager, 'batches', { ...BATCH, ...batch });
    });
    return {
      database,
      run: await database.reader.findOneByOrFail(ExportRun, { id: 'run' }),
      batches: await database.reader.find(Batch, { order: { id: 'ASC' } }),
      entries: await entriesOf(database),
      rejections: await database.reader.find(Rejection),
    };
  }

  it('keeps in its batch whose key stays in the range', async () => {
    await using folder = await temporaryFolder();
    const emails = ['ann@example.com', 'max@bücher.example', 'zoe@example.com'];
    const found = await upgradedRun(
      folder.path,
      emails.map((email) => ({ email })),
      [
        {
          fromKey: 'ann@example.com',
          toKey: 'zoe@example.com',
          contacts: 3,
          state: 'ACCEPTED',
          receipt: 'r',
        },
      ],
    );
    await found.database.close();
    expect(found.run).toMatchObject({ toSend: 3, unconfirmed: 0, skipped: 0 });
    expect(found.batches).toMatchObject([{ contacts: 3, unconfirmed: 0, state: 'ACCEPTED' }]);
    expect(found.entries.get('max@xn--bcher-kva.example')).toMatchObject({ plannedRun: 4, doubt: null });
  });

  it('counts as unconfirmed who leaves the range of a batch, and the next run sends them again', async () => {
    await using folder = await temporaryFolder();
    const found = await upgradedRun(
      folder.path,
      ['ann@example.com', `${KELVIN}ate@example.com`, 'zoe@example.com'].map((email) => ({ email })),
      [{ fromKey: 'ann@example.com', toKey: 'zoe@example.com', contacts: 3, state: 'SENDING' }],
    );
    await found.database.close();
    expect(found.run).toMatchObject({ toSend: 3, unconfirmed: 1 });
    expect(found.batches).toMatchObject([{ contacts: 2, unconfirmed: 1, state: 'SENDING' }]);
    expect(found.entries.get(`${KELVIN}ate@example.com`)).toMatchObject({ plannedRun: null, doubt: 0 });
    expect(found.rejections).toMatchObject([{ email: `${KELVIN}ate@example.com`, reason: 'UNCONFIRMED' }]);
  });

  it('sends nobody again in an empty batch', async () => {
    await using folder = await temporaryFolder();
    const key = 'kate@example.com';
    const found = await upgradedRun(
      folder.path,
      [{ email: `${KELVIN}ate@example.com` }],
      [{ fromKey: key, toKey: key, contacts: 1, state: 'SENDING' }],
    );
    await found.database.close();
    expect(found.batches).toMatchObject([{ contacts: 0, unconfirmed: 1, state: 'SETTLED' }]);
  });

  it('lets no batch vouch for somebody who was not in it', async () => {
    await using folder = await temporaryFolder();
    const found = await upgradedRun(
      folder.path,
      [
        { email: 'max@bücher.example' },
        { email: 'sam@bücher.example', task: 2, standing: 1, delivered: '=' },
        { email: 'max@c.example' },
        { email: 'max@y.example' },
        { email: 'sam@c.example' },
        { email: 'sam@y.example' },
      ],
      [
        { fromKey: 'max@c.example', toKey: 'max@y.example', contacts: 2, state: 'SENDING' },
        { fromKey: 'sam@c.example', toKey: 'sam@y.example', contacts: 2, state: 'SENDING' },
      ],
    );
    await found.database.close();
    // People who are looked up first travel in batches of their own.
    expect(found.entries.get('max@xn--bcher-kva.example')).toMatchObject({ plannedRun: 4, task: 3 });
    expect(found.entries.get('sam@xn--bcher-kva.example')).toMatchObject({ plannedRun: null, standing: 1 });
    expect(found.run).toMatchObject({ members: 5, toSend: 5, leavers: 0, unconfirmed: 0 });
    expect(found.batches).toMatchObject([{ contacts: 2 }, { contacts: 2 }]);
  });

  it('counts one of two forms of an address as a duplicate', async () => {
    await using folder = await temporaryFolder();
    const found = await upgradedRun(
      folder.path,
      [
        { email: 'max@bücher.example', profileId: '1' },
        { email: 'max@xn--bcher-kva.example', profileId: '2' },
      ],
      [],
    );
    await found.database.close();
    expect(found.entries.get('max@xn--bcher-kva.example')).toMatchObject({ profileId: '2', plannedRun: 4 });
    expect(found.run).toMatchObject({ members: 2, toSend: 1, skipped: 1, newcomers: 1 });
    expect(found.rejections).toMatchObject([{ profileId: '1', reason: 'DUPLICATE_EMAIL' }]);
  });

  it('does not let a leaver of one form take the other, which is in a batch, for its own', async () => {
    await using folder = await temporaryFolder();
    const found = await upgradedRun(
      folder.path,
      [
        { email: 'max@bücher.example', task: 2, standing: 1, delivered: '=' },
        { email: 'max@xn--bcher-kva.example' },
      ],
      [
        {
          fromKey: 'max@xn--bcher-kva.example',
          toKey: 'max@xn--bcher-kva.example',
          contacts: 1,
          state: 'ACCEPTED',
          receipt: 'r',
        },
      ],
    );
    await found.database.close();
    expect(found.entries.get('max@xn--bcher-kva.example')).toMatchObject({ plannedRun: 4, task: 1 });
    expect(found.run).toMatchObject({ toSend: 1, leavers: 0, members: 1 });
  });
});
