import type { MigrationInterface, QueryRunner } from 'typeorm';

const COLUMNS = ['newcomers', 'newcomersRefused', 'newcomersRefusedLast'];

/**
 * What became of the newcomers of each batch, by which a full account is recognised. Batches of a run under way count all
 * their people as newcomers: then fewer refusals look like a full account, not more.
 */
export class NewcomersOfBatches1796141000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    for (const column of COLUMNS) {
      await runner.query(`ALTER TABLE "batches" ADD COLUMN "${column}" integer NOT NULL DEFAULT 0`);
    }
    await runner.query(
      `UPDATE "batches" SET "newcomers" = "contacts" WHERE "state" IN ('PLANNED', 'SENDING', 'ACCEPTED')`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const column of [...COLUMNS].reverse()) {
      await runner.query(`ALTER TABLE "batches" DROP COLUMN "${column}"`);
    }
  }
}
