import type { MigrationInterface, QueryRunner } from 'typeorm';
import { isPostgres } from './portable-tables.js';

/**
 * Postgres writes a changed row anew. Every ledger entry is written when it is planned and again when it is decided: with
 * half of each page kept free the second row lies beside the first, the index stays as it is, and the place of the first
 * is used again without a vacuum. Full pages would grow to the same size, at the end of the table.
 */
const LEDGER =
  'fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05';

/** A refresh leaves a whole generation behind; of a large table, the usual fifth would be many. */
const MEMBERS = 'autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05';

const NAMES = /\b\w+(?= =)/g;

/** How Postgres keeps the two tables that grow with every export and every segment. SQLite has nothing like it. */
export class RoomForUpdates1795535000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    if (!isPostgres(runner)) return;
    await runner.query(`ALTER TABLE "ledger_entries" SET (${LEDGER})`);
    await runner.query(`ALTER TABLE "segment_members" SET (${MEMBERS})`);
  }

  async down(runner: QueryRunner): Promise<void> {
    if (!isPostgres(runner)) return;
    await runner.query(`ALTER TABLE "ledger_entries" RESET (${namesIn(LEDGER)})`);
    await runner.query(`ALTER TABLE "segment_members" RESET (${namesIn(MEMBERS)})`);
  }
}

function namesIn(settings: string): string {
  return (settings.match(NAMES) ?? []).join(', ');
}
