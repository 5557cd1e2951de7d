import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';

const text = { type: 'varchar' };
const optionalText = { type: 'varchar', isNullable: true };

const NEW_COLUMNS: [table: string, column: string][] = [
  ['users', 'issuer'],
  ['users', 'subject'],
  ['api_tokens', 'expiresAt'],
  ['api_tokens', 'revokedAt'],
  ['consents', 'supersededAt'],
];

const AUDIT_INDEXES: [name: string, column: string][] = [
  ['audit_events_actor', 'actorId'],
  ['audit_events_subject', 'subjectId'],
  ['audit_events_action', 'action'],
  ['audit_events_at', 'at'],
];

/**
 * What was recorded stays as it was recorded, whoever writes to the file. SQLite does not run the trigger of a deletion
 * when REPLACE deletes, so a row that is there already is refused at the insert.
 */
const TRIGGERS = [
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

const DEFAULT_RETENTION_DAYS = 400;

/** Users of an issuer, tokens that end, statements that are superseded, and the audit trail. */
export class PeopleAndAudit1795500000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    // Plain SQL: the schema builder would copy the whole table on SQLite.
    for (const [table, column] of NEW_COLUMNS) {
      await runner.query(`ALTER TABLE "${table}" ADD COLUMN "${column}" varchar`);
    }
    await runner.query('CREATE UNIQUE INDEX "users_subject" ON "users" ("issuer", "subject")');
    await runner.query('CREATE INDEX "api_tokens_user" ON "api_tokens" ("userId")');
    await runner.createTable(
      new Table({
        name: 'audit_events',
        columns: [
          { name: 'id', ...text, isPrimary: true },
          { name: 'at', ...text },
          { name: 'actorId', ...optionalText },
          { name: 'action', ...text },
          { name: 'subjectType', ...text },
          { name: 'subjectId', ...text },
          { name: 'result', ...text },
          { name: 'detail', type: 'text', isNullable: true },
          { name: 'clientAddress', ...optionalText },
        ],
        indices: AUDIT_INDEXES.map(([name, column]) => ({ name, columnNames: [column] })),
      }),
    );
    await runner.createTable(
      new Table({
        name: 'audit_retention',
        columns: [
          { name: 'id', type: 'integer', isPrimary: true },
          { name: 'days', type: 'integer' },
        ],
      }),
    );
    await runner.query(`INSERT INTO "audit_retention" ("id", "days") VALUES (1, ${DEFAULT_RETENTION_DAYS})`);
    for (const trigger of TRIGGERS) await runner.query(trigger);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('audit_events');
    await runner.dropTable('audit_retention');
    await runner.query('DROP INDEX "api_tokens_user"');
    await runner.query('DROP INDEX "users_subject"');
    for (const [table, column] of [...NEW_COLUMNS].reverse()) {
      await runner.query(`ALTER TABLE "${table}" DROP COLUMN "${column}"`);
    }
  }
}
