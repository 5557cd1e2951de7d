import type { MigrationInterface, QueryRunner } from 'typeorm';

const COLUMNS = ['newcomers', 'newcomersRefused', 'newcomersRefusedLast'];

/**
 * What became of the newcomers of each batch, by which a full account is recognised. Batches of a run under way count all
 * their people as newcomers: then fewer refusals look like a full account, not more.
 *
 * When version 0.1.0 found an account full, it forgot the refusals and not that there was one: these people count as never
 * refused, like those whom a run refuses from now on.
 */
export class NewcomersOfBatches1796141000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    for (const column of COLUMNS) {
      await runner.query(`ALTER TABLE "batches" ADD COLUMN "${column}" integer NOT NULL DEFAULT 0`);
    }
    await runner.query(
      `UPDATE "batches" SET "newcomers" = "contacts" WHERE "state" IN ('PLANNED', 'SENDING', 'ACCEPTED')`,
    );
    await runner.query(
      `UPDATE "ledger_entries" SET "refusedRun" = NULL WHERE "refusedRun" IS NOT NULL AND "refusal" IS NULL`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const column of [...COLUMNS].reverse()) {
      await runner.query(`ALTER TABLE "batches" DROP COLUMN "${column}"`);
    }
  }
}
