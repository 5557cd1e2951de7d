import type { MigrationInterface, QueryRunner } from 'typeorm';
import { isPostgres } from './portable-tables.js';

/**
 * The run that found a person gone, and when what a run found began to count for other exports. Entries of before name no
 * run: see exports/departures.ts.
 */
export class WhoFoundThemGone1796130000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    const moment = isPostgres(runner) ? 'varchar COLLATE "C"' : 'varchar';
    await runner.query('ALTER TABLE "ledger_entries" ADD COLUMN "departedRun" integer');
    await runner.query(`ALTER TABLE "export_runs" ADD COLUMN "departuresFinalAt" ${moment}`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE "export_runs" DROP COLUMN "departuresFinalAt"');
    await runner.query('ALTER TABLE "ledger_entries" DROP COLUMN "departedRun"');
  }
}
