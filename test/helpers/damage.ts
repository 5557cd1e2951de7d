import { join } from 'node:path';
import { DataSource } from 'typeorm';
import type { Sluice } from './sluice.js';

/** Breaks the server from behind, as a failing disk would: from now on whatever needs the table fails. */
export async function dropTable(sluice: Sluice, table: string): Promise<void> {
  const source = new DataSource({ type: 'sqlite', database: join(sluice.folder, 'sluice.db') });
  await source.initialize();
  await source.query(`DROP TABLE "${table}"`);
  await source.destroy();
}
