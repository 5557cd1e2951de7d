import type { MigrationInterface, QueryRunner } from 'typeorm';
import { isPostgres } from './portable-tables.js';

/** The address from which somebody asked for a refresh: its runs are queued later, perhaps after a restart. */
export class WhereARefreshWasAskedFor1795536000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    const kind = isPostgres(runner) ? 'varchar COLLATE "C"' : 'varchar';
    await runner.query(`ALTER TABLE "refreshes" ADD COLUMN "requestedFrom" ${kind}`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE "refreshes" DROP COLUMN "requestedFrom"');
  }
}
