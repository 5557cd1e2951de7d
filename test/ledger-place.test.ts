import { Export, LeaverPolicy } from '../src/entities/export.js';
import { Ledger } from '../src/entities/ledger.js';
import { placeOf } from '../src/exports/ledger.js';
import { countStatements } from './helpers/count-statements.js';
import { openRunRows, type RunRows } from './helpers/run-rows.js';

/** Exports with a ledger each at the list of the run; `more` of an export differs from one that sends there. */
async function addNeighbours({ database, run }: RunRows, neighbours: readonly Partial<Export>[]) {
  const at = new Date(0);
  await database.transact(async ({ manager }) => {
    const rows = neighbours.map((more, index) => ({
      id: `neighbour ${index}`,
      name: `Neighbour ${index}`,
      connectionId: run.connectionId,
      list: { id: run.listId, name: 'Newsletter' },
      account: run.account,
      mapping: { email: 'email' },
      leavers: LeaverPolicy.KEEP,
      leaverHoldPercent: 20,
      runAutomations: true,
      createdAt: at,
      updatedAt: at,
      updatedById: null,
      ...more,
    }));
    await manager.insert(Export, rows);
    const place = { account: run.account, listId: run.listId };
    await manager.insert(
      Ledger,
      rows.map(({ id }) => ({ exportId: id, ...place })),
    );
  });
}

describe('the exports to one list', () => {
  it('are read by one statement, however many there are', async () => {
    await using rows = await openRunRows();
    await addNeighbours(
      rows,
      Array.from({ length: 40 }, () => ({})),
    );
    const { reader } = rows.database;
    const { result, statements } = await countStatements(reader, () => placeOf(reader, rows.run));
    expect(result.neighbours).toHaveLength(40);
    expect(statements).toBe(1);
  });

  it('are attached as long as they send to this list of this account, and keep their policy', async () => {
    await using rows = await openRunRows();
    await addNeighbours(rows, [
      { leavers: LeaverPolicy.UNSUBSCRIBE },
      { connectionId: null },
      { list: { id: '2', name: 'Offers' } },
      { account: 'another account' },
      {},
    ]);
    await rows.database.transact(({ manager }) => manager.delete(Export, { id: 'neighbour 4' }));
    const { ledgerId, neighbours } = await placeOf(rows.database.reader, rows.run);
    expect(ledgerId).toBe(rows.run.ledgerId);
    expect(neighbours).toMatchObject([
      { exportId: 'neighbour 0', attached: true, policy: 'UNSUBSCRIBE' },
      { exportId: 'neighbour 1', attached: false, policy: 'KEEP' },
      { exportId: 'neighbour 2', attached: false, policy: 'KEEP' },
      { exportId: 'neighbour 3', attached: false, policy: 'KEEP' },
    ]);
  });
});
