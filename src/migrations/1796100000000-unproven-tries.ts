import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The tries of a batch without proof that it was not taken. Version 0.1.0 counted losses, and of other tries it noted only
 * whether there was any.
 */
export class UnprovenTries1796100000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE "batches" ADD COLUMN "unprovenTries" integer NOT NULL DEFAULT 0');
    await runner.query(
      `UPDATE "batches" SET "unprovenTries" = CASE WHEN "losses" > 0 THEN "losses" ELSE 1 END
       WHERE "losses" > 0 OR "mayHaveArrived"`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE "batches" DROP COLUMN "unprovenTries"');
  }
}
