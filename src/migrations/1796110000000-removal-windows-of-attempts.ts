import type { MigrationInterface, QueryRunner } from 'typeorm';
import { isPostgres } from './portable-tables.js';

const REMOVE = 2;
const REMOVED = 2;
const DOUBT_FOR_GOOD = 0;

/** What a restart needs to know of the windows in which the removals of a batch took effect. */
export class RemovalWindowsOfAttempts1796110000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    const text = isPostgres(runner) ? 'COLLATE "C"' : '';
    await runner.query(`ALTER TABLE "batches" ADD COLUMN "seenAt" varchar ${text}`);
    await runner.query(`ALTER TABLE "batches" ADD COLUMN "windows" text ${text}`);
    // Version 0.1.0 did not tell entries in doubt that another export took the address off the list. The batch that may
    // still tell its outcome must not vouch for them.
    await runner.query(
      `UPDATE "ledger_entries" SET "standing" = ${REMOVED}, "doubt" = ${DOUBT_FOR_GOOD}
       WHERE "doubt" > ${DOUBT_FOR_GOOD} AND "task" <> ${REMOVE} AND EXISTS (
         SELECT 1 FROM "ledgers" AS "own"
         JOIN "ledgers" AS "other" ON "other"."account" = "own"."account" AND "other"."listId" = "own"."listId"
           AND "other"."id" <> "own"."id"
         JOIN "ledger_entries" AS "theirs" ON "theirs"."ledgerId" = "other"."id"
           AND "theirs"."emailKey" = "ledger_entries"."emailKey"
         WHERE "own"."id" = "ledger_entries"."ledgerId" AND "theirs"."standing" = ${REMOVED})`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE "batches" DROP COLUMN "windows"');
    await runner.query('ALTER TABLE "batches" DROP COLUMN "seenAt"');
  }
}
