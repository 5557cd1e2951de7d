import type { MigrationInterface, QueryRunner } from 'typeorm';
import {
  createIndexes,
  createTables,
  isPostgres,
  number,
  numberKey,
  optionalLongText,
  optionalText,
  text,
  textKey,
  type Indexes,
  type Tables,
} from './portable-tables.js';

const NEW_COLUMNS: [table: string, column: string][] = [
  ['users', 'issuer'],
  ['users', 'subject'],
  ['api_tokens', 'expiresAt'],
  ['api_tokens', 'revokedAt'],
  ['consents', 'supersededAt'],
];

const TABLES: Tables = {
  audit_events: {
    id: textKey,
    at: text,
    actorId: optionalText,
    action: text,
    subjectType: text,
    subjectId: text,
    result: text,
    detail: optionalLongText,
    clientAddress: optionalText,
  },
  audit_retention: { id: numberKey, days: number },
};

const INDEXES: Indexes = [
  ['UNIQUE "users_subject"', '"users" ("issuer", "subject")'],
  ['"api_tokens_user"', '"api_tokens" ("userId")'],
  ['"audit_events_actor"', '"audit_events" ("actorId")'],
  ['"audit_events_subject"', '"audit_events" ("subjectId")'],
  ['"audit_events_action"', '"audit_events" ("action")'],
  ['"audit_events_at"', '"audit_events" ("at")'],
];

/**
 * What was recorded stays as it was recorded, whoever writes to the database. SQLite does not run the trigger of a
 * deletion when REPLACE deletes, so a row that is there already is refused at the insert.
 */
const SQLITE_TRIGGERS = [
  `CREATE TRIGGER "audit_events_no_update" BEFORE UPDATE ON "audit_events"
   BEGIN SELECT RAISE(ABORT, 'audit events are never changed'); END`,
  `CREATE TRIGGER "audit_events_no_replacement" BEFORE INSERT ON "audit_events"
   WHEN EXISTS (SELECT 1 FROM "audit_events" WHERE "id" = NEW."id")
   BEGIN SELECT RAISE(ABORT, 'audit events are never changed'); END`,
  `CREATE TRIGGER "audit_events_kept" BEFORE DELETE ON "audit_events"
   WHEN OLD."at" > strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-' || (SELECT MAX("days") FROM "audit_retention") || ' days')
     OR NOT EXISTS (SELECT 1 FROM "audit_retention")
   BEGIN SELECT RAISE(ABORT, 'audit events are kept for AUDIT_RETENTION_DAYS'); END`,
];

const POSTGRES_TRIGGERS = [
  `CREATE FUNCTION "audit_events_refuse"() RETURNS trigger LANGUAGE plpgsql AS $$
   BEGIN RAISE EXCEPTION 'audit events are never changed'; END $$`,
  `CREATE FUNCTION "audit_events_keep"() RETURNS trigger LANGUAGE plpgsql AS $$
   DECLARE kept integer := (SELECT MAX("days") FROM "audit_retention");
   BEGIN
     IF kept IS NULL OR OLD."at" COLLATE "C" >
        to_char(timezone('UTC', now()) - make_interval(days => kept), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') THEN
       RAISE EXCEPTION 'audit events are kept for AUDIT_RETENTION_DAYS';
     END IF;
     RETURN OLD;
   END $$`,
  `CREATE TRIGGER "audit_events_no_update" BEFORE UPDATE ON "audit_events"
   FOR EACH ROW EXECUTE FUNCTION "audit_events_refuse"()`,
  `CREATE TRIGGER "audit_events_no_truncate" BEFORE TRUNCATE ON "audit_events"
   FOR EACH STATEMENT EXECUTE FUNCTION "audit_events_refuse"()`,
  `CREATE TRIGGER "audit_events_kept" BEFORE DELETE ON "audit_events"
   FOR EACH ROW EXECUTE FUNCTION "audit_events_keep"()`,
];

const DEFAULT_RETENTION_DAYS = 400;

/** Users of an issuer, tokens that end, statements that are superseded, and the audit trail. */
export class PeopleAndAudit1795500000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    // Plain SQL: the schema builder would copy the whole table on SQLite.
    const kind = isPostgres(runner) ? 'varchar COLLATE "C"' : 'varchar';
    for (const [table, column] of NEW_COLUMNS) {
      await runner.query(`ALTER TABLE "${table}" ADD COLUMN "${column}" ${kind}`);
    }
    await createTables(runner, TABLES);
    await createIndexes(runner, INDEXES);
    await runner.query(`INSERT INTO "audit_retention" ("id", "days") VALUES (1, ${DEFAULT_RETENTION_DAYS})`);
    for (const trigger of isPostgres(runner) ? POSTGRES_TRIGGERS : SQLITE_TRIGGERS)
      await runner.query(trigger);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('audit_events');
    await runner.dropTable('audit_retention');
    if (isPostgres(runner)) {
      await runner.query('DROP FUNCTION "audit_events_refuse"()');
      await runner.query('DROP FUNCTION "audit_events_keep"()');
    }
    await runner.query('DROP INDEX "api_tokens_user"');
    await runner.query('DROP INDEX "users_subject"');
    for (const [table, column] of [...NEW_COLUMNS].reverse()) {
      await runner.query(`ALTER TABLE "${table}" DROP COLUMN "${column}"`);
    }
  }
}
