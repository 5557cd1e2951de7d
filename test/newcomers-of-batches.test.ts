import 'reflect-metadata';
import { Batch } from '../src/entities/batch.js';
import { entriesOf, insert, upgraded, writeOld } from './helpers/old-ledger.js';
import { temporaryFolder } from './helpers/sluice.js';

const REFUSAL = JSON.stringify({ reason: 'REFUSED_BY_DESTINATION', detail: 'No.', at: 1 });
const NEVER_DELIVERED = { standing: 0, delivered: null };

describe('a database of version 0.1.0', () => {
  it('takes people whom a full account refused for newcomers, and those who were refused for good for none', async () => {
    await using folder = await temporaryFolder();
    await using database = await upgraded(folder.path, async (manager) => {
      await writeOld(manager, { email: 'full@example.com', ...NEVER_DELIVERED, refusedRun: 3 });
      await writeOld(manager, {
        email: 'no@example.com',
        ...NEVER_DELIVERED,
        refusedRun: 3,
        refusal: REFUSAL,
      });
    });
    const entries = await entriesOf(database);
    expect(entries.get('full@example.com')).toMatchObject({ refusedRun: null, refusal: null });
    expect(entries.get('no@example.com')).toMatchObject({ refusedRun: 3, refusal: REFUSAL });
  });

  it('counts everybody in a batch under way as a newcomer', async () => {
    await using folder = await temporaryFolder();
    await using database = await upgraded(folder.path, async (manager) => {
      for (const state of ['ACCEPTED', 'SETTLED']) {
        await insert(manager, 'batches', {
          runId: 'run',
          fromKey: 'a@example.com',
          toKey: 'z@example.com',
          checked: false,
          contacts: 250,
          state,
          confirmed: 0,
          rejected: 0,
          unconfirmed: 0,
          mayHaveArrived: false,
          losses: 0,
          intentAt: '2026-11-30T10:00:00.000Z',
        });
      }
    });
    expect(await database.reader.find(Batch, { order: { id: 'ASC' } })).toMatchObject([
      { newcomers: 250, newcomersRefused: 0, newcomersRefusedLast: 0 },
      { newcomers: 0, newcomersRefused: 0, newcomersRefusedLast: 0 },
    ]);
  });
});
