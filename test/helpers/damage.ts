import { tamper } from './databases.js';
import type { Sluice } from './sluice.js';

/** Breaks the server from behind, as a failing disk would: from now on whatever needs the table fails. */
export async function dropTable(sluice: Sluice, table: string): Promise<void> {
  await tamper(sluice.folder, `DROP TABLE "${table}"`);
}
