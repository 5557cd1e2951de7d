import type { EntityManager } from 'typeorm';
import type { Database } from '../../src/database.js';
import { LedgerEntry } from '../../src/entities/ledger.js';
import { openIn, openUntil } from './databases.js';

/** The last migration of version 0.1.0. */
const BEFORE = 'WhereARefreshWasAskedFor1795536000000';

/** What differs from an entry that was delivered. */
export interface OldEntry {
  readonly email: string;
  readonly delivered?: string | null;
  readonly [column: string]: unknown;
}

export async function insert(manager: EntityManager, table: string, row: Readonly<Record<string, unknown>>) {
  const columns = Object.keys(row);
  await manager.query(
    `INSERT INTO "${table}" (${columns.map((name) => `"${name}"`).join(', ')})
     VALUES (${columns.map((_, index) => `$${index + 1}`).join(', ')})`,
    Object.values(row),
  );
}

/** Writes an entry as version 0.1.0 did: its key was the address in the lower case of Unicode. */
export async function writeOld(manager: EntityManager, { email, ...columns }: OldEntry): Promise<void> {
  await insert(manager, 'ledger_entries', {
    ledgerId: 1,
    emailKey: email.trim().toLowerCase(),
    profileId: `of ${email}`,
    plannedRun: null,
    task: 1,
    wanted: JSON.stringify([email, 'First', null, null]),
    delivered: '=',
    standing: 1,
    gone: false,
    doubt: null,
    filled: 1,
    everSent: 1,
    removals: null,
    refusedRun: null,
    refusal: null,
    ...columns,
  });
}

/** Rows of version 0.1.0, and the database after its upgrade. */
export async function upgraded(
  folder: string,
  write: (manager: EntityManager) => Promise<void>,
): Promise<Database & AsyncDisposable> {
  const before = await openUntil(folder, BEFORE);
  await before.transact(async ({ manager }) => {
    await insert(manager, 'ledgers', { exportId: 'export', account: 'account', listId: '1' });
    await write(manager);
  });
  await before.close();
  return openIn(folder);
}

/** By e-mail key. */
export async function entriesOf({ reader }: Database): Promise<Map<string, LedgerEntry>> {
  const entries = await reader.find(LedgerEntry);
  return new Map(entries.map((entry) => [entry.emailKey, entry]));
}
