import { Export, LeaverPolicy } from '../../src/entities/export.js';
import { newId } from '../../src/ids.js';
import { openIn } from './databases.js';
import type { Sluice } from './sluice.js';

/** Exports that use the connection, put into the server's database from outside: for tests that are not about exports. */
export async function addExports(
  sluice: Sluice,
  connectionId: string,
  account: string,
  names: readonly string[],
): Promise<void> {
  await using database = await openIn(sluice.folder);
  const at = new Date();
  await database.transact(({ manager }) =>
    manager.insert(
      Export,
      names.map((name) => ({
        id: newId(),
        name,
        connectionId,
        list: { id: '1', name: 'Newsletter' },
        account,
        mapping: { email: 'email' },
        leavers: LeaverPolicy.KEEP,
        leaverHoldPercent: 20,
        runAutomations: true,
        createdAt: at,
        updatedAt: at,
        updatedById: null,
      })),
    ),
  );
}
