import { TableColumn, type MigrationInterface, type QueryRunner } from 'typeorm';
import {
  createIndexes,
  createTables,
  countedKey,
  flag,
  longText,
  number,
  numberKey,
  optionalLongText,
  optionalNumber,
  optionalText,
  text,
  textKey,
  portable,
  type Indexes,
  type Tables,
} from './portable-tables.js';

const TABLES: Tables = {
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

const INDEXES: Indexes = [
  ['"segment_sizes_segment"', '"segment_sizes" ("segmentId", "id")'],
  ['"export_schedules_due"', '"export_schedules" ("dueAt")'],
  ['UNIQUE "refreshes_one_running"', `"refreshes" ("state") WHERE "state" = 'RUNNING'`],
  ['"triggers_export"', '"triggers" ("exportId")'],
  ['"trigger_calls_received"', '"trigger_calls" ("receivedAt")'],
];

/** Rules of segments and how large they were; schedules, refreshes and triggers. */
export class WhatStartsARun1795520000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    const rule = { name: 'rule', ...portable(runner, optionalLongText) };
    await runner.addColumn('segments', new TableColumn(rule));
    await createTables(runner, TABLES);
    await createIndexes(runner, INDEXES);
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
