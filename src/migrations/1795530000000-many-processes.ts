import type { MigrationInterface, QueryRunner } from 'typeorm';
import { createTables, number, textKey, type Tables } from './portable-tables.js';

const TABLES: Tables = { account_tenures: { account: textKey, tenure: number } };

/** To which of many processes a destination account belongs. */
export class ManyProcesses1795530000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await createTables(runner, TABLES);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const name of Object.keys(TABLES)) await runner.dropTable(name);
  }
}
