import type { MigrationInterface, QueryRunner } from 'typeorm';
import { createTables, text, textKey, type Tables } from './portable-tables.js';

const TABLES: Tables = { account_calls: { place: textKey, holder: text, freeAt: { type: 'bigint' } } };

/** Processes that share a database share one call a second to each account for what callers ask. */
export class CallsOfCallers1796160000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await createTables(runner, TABLES);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const name of Object.keys(TABLES)) await runner.dropTable(name);
  }
}
