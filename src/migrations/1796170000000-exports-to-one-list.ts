import type { MigrationInterface, QueryRunner } from 'typeorm';
import { createIndexes } from './portable-tables.js';

/**
 * The ledgers of one list, by account and list: an index that begins with the export is read from end to end for them, which
 * costs every batch and every look-up more the more exports there are.
 */
export class ExportsToOneList1796170000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await createIndexes(runner, [['"ledgers_account_list"', '"ledgers" ("account", "listId")']]);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX "ledgers_account_list"');
  }
}
