import { join } from 'node:path';
import { openDatabase } from '../../src/database.js';
import { Export, LeaverPolicy } from '../../src/entities/export.js';
import { newId } from '../../src/ids.js';
import { dataModel } from '../../src/server/data-model.js';
import type { Sluice } from './sluice.js';

/** Exports that use the connection, put into the server's database from outside: for tests that are not about exports. */
export async function addExports(
  sluice: Sluice,
  connectionId: string,
  account: string,
  names: readonly string[],
): Promise<void> {
  const database = await openDatabase(join(sluice.folder, 'sluice.db'), dataModel);
  try {
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
  } finally {
    await database.close();
  }
}
