import type { MigrationInterface, QueryRunner } from 'typeorm';
import {
  createIndexes,
  createTables,
  flag,
  longText,
  text,
  textKey,
  type Tables,
} from './portable-tables.js';

const TABLES: Tables = {
  removals: { listHash: textKey, personHash: textKey, windows: longText, returned: flag, notedAt: text },
  hash_keys: { id: textKey, sealedKey: longText },
};

/** Tables that are read along their key. */
const CLUSTERED = new Set(['removals']);

/**
 * Removals are kept apart from the ledger of the export. Migrations have no hash key, so the server moves the rows that
 * 0.1.0 wrote (exports/store-earlier-removals.ts); the partial index finds what is left of them, and is empty afterwards.
 */
export class RemovalsOutliveExports1796150000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await createTables(runner, TABLES, CLUSTERED);
    await createIndexes(runner, [
      ['"removals_noted"', '"removals" ("notedAt")'],
      ['"ledger_entries_removals"', '"ledger_entries" ("ledgerId", "emailKey") WHERE "removals" IS NOT NULL'],
    ]);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX "ledger_entries_removals"');
    for (const name of Object.keys(TABLES).reverse()) await runner.dropTable(name);
  }
}
