import {
  Table,
  TableColumn,
  type MigrationInterface,
  type QueryRunner,
  type TableColumnOptions,
} from 'typeorm';

type ColumnKind = Omit<TableColumnOptions, 'name'>;

const text: ColumnKind = { type: 'varchar' };
const optionalText: ColumnKind = { type: 'varchar', isNullable: true };
const longText: ColumnKind = { type: 'text' };
const optionalLongText: ColumnKind = { type: 'text', isNullable: true };
const number: ColumnKind = { type: 'integer' };
const optionalNumber: ColumnKind = { type: 'integer', isNullable: true };
const flag: ColumnKind = { type: 'boolean' };
const textKey: ColumnKind = { type: 'varchar', isPrimary: true };
const numberKey: ColumnKind = { type: 'integer', isPrimary: true };
const countedKey: ColumnKind = {
  type: 'integer',
  isPrimary: true,
  isGenerated: true,
  generationStrategy: 'increment',
};

const TABLES: Record<string, Record<string, ColumnKind>> = {
  segment_sizes: {
    id: countedKey,
    segmentId: text,
    at: text,
    memberCount: number,
    unparsedValues: number,
  },
  export_schedules: {
    exportId: textKey,
    enabled: flag,
    recurrence: text,
    cron: optionalText,
    timeZone: optionalText,
    dueAt: optionalText,
  },
  refresh_schedules: {
    id: numberKey,
    enabled: flag,
    frequency: text,
    days: longText,
    times: longText,
    timeZone: text,
    dueAt: optionalText,
  },
  refreshes: {
    id: textKey,
    trigger: text,
    requestedById: optionalText,
    state: text,
    attempt: number,
    startedAt: text,
    finishedAt: optionalText,
  },
  refresh_steps: {
    refreshId: textKey,
    position: numberKey,
    kind: text,
    subjectId: text,
    name: text,
    state: text,
    problem: optionalLongText,
    memberCount: optionalNumber,
    runId: optionalText,
    startedAt: optionalText,
    finishedAt: optionalText,
  },
  triggers: {
    id: textKey,
    exportId: text,
    name: text,
    authentication: text,
    enabled: flag,
    secret: longText,
    previousSecret: optionalLongText,
    previousUntil: optionalText,
    lastCalledAt: optionalText,
    createdAt: text,
  },
  trigger_calls: { triggerId: textKey, webhookId: textKey, bodyHash: text, runId: text, receivedAt: text },
};

const INDEXES: [name: string, on: string][] = [
  ['"segment_sizes_segment"', '"segment_sizes" ("segmentId", "id")'],
  ['"export_schedules_due"', '"export_schedules" ("dueAt")'],
  ['UNIQUE "refreshes_one_running"', `"refreshes" ("state") WHERE "state" = 'RUNNING'`],
  ['"triggers_export"', '"triggers" ("exportId")'],
  ['"trigger_calls_received"', '"trigger_calls" ("receivedAt")'],
];

/** Rules of segments and how large they were; schedules, refreshes and triggers. */
export class WhatStartsARun1795520000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.addColumn('segments', new TableColumn({ name: 'rule', ...optionalLongText }));
    for (const [name, columns] of Object.entries(TABLES)) {
      await runner.createTable(
        new Table({
          name,
          columns: Object.entries(columns).map(([column, kind]) => ({ name: column, ...kind })),
        }),
      );
    }
    for (const [name, on] of INDEXES) {
      const [, unique, bare] = /^(UNIQUE )?(.+)$/.exec(name) ?? [];
      await runner.query(`CREATE ${unique ?? ''}INDEX ${bare ?? name} ON ${on}`);
    }
    // An export that was made before there were schedules follows every refresh, like a new one.
    await runner.query(
      `INSERT INTO "export_schedules" ("exportId", "enabled", "recurrence")
       SELECT "id", TRUE, 'EVERY_REFRESH' FROM "exports"`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const name of Object.keys(TABLES).reverse()) await runner.dropTable(name);
    await runner.dropColumn('segments', 'rule');
  }
}
