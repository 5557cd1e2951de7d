import { Table, type MigrationInterface, type QueryRunner, type TableColumnOptions } from 'typeorm';

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
  users: {
    id: textKey,
    displayName: text,
    email: optionalText,
    kind: text,
    role: text,
    disabled: flag,
    createdAt: text,
  },
  api_tokens: {
    id: textKey,
    userId: text,
    name: text,
    hint: text,
    hash: text,
    createdAt: text,
    lastUsedAt: optionalText,
  },
  profiles: { id: textKey, attributes: longText },
  profile_attributes: { name: textKey, filled: number, sample: optionalText },
  segments: {
    id: textKey,
    name: text,
    kind: text,
    state: text,
    memberCount: number,
    generation: optionalNumber,
    evaluatedAt: optionalText,
    createdAt: text,
  },
  segment_generations: { id: countedKey, segmentId: optionalText, createdAt: text },
  segment_members: { generation: numberKey, profileId: textKey },
  connections: {
    id: textKey,
    displayName: text,
    kind: text,
    sharing: text,
    state: text,
    host: text,
    sealedApiKey: optionalLongText,
    apiKeyHint: optionalText,
    revision: number,
    account: optionalText,
    exportUserId: optionalText,
    checkedAt: optionalText,
    problem: optionalLongText,
    profileLimit: number,
    createdAt: text,
    updatedAt: text,
    updatedById: optionalText,
  },
  consents: {
    id: textKey,
    connectionId: text,
    statement: longText,
    statementVersion: text,
    acceptedAt: text,
    acceptedById: text,
    withdrawnAt: optionalText,
    withdrawnById: optionalText,
  },
  exports: {
    id: textKey,
    name: text,
    connectionId: optionalText,
    list: longText,
    account: text,
    mapping: longText,
    leavers: text,
    leaverHoldPercent: number,
    runAutomations: flag,
    createdAt: text,
    updatedAt: text,
    updatedById: optionalText,
  },
  export_segments: { exportId: textKey, segmentId: textKey },
  export_runs: {
    id: textKey,
    exportId: text,
    number,
    trigger: text,
    requestedById: optionalText,
    state: text,
    phase: optionalText,
    problem: optionalLongText,
    connectionId: text,
    connectionRevision: number,
    kind: text,
    account: text,
    listId: text,
    runAutomations: flag,
    force: flag,
    generations: optionalLongText,
    ledgerId: optionalNumber,
    queuedAt: text,
    startedAt: optionalText,
    finishedAt: optionalText,
    cancelRequestedAt: optionalText,
    heldAt: optionalText,
    approvedLeavers: optionalNumber,
    attempt: number,
    sequence: number,
    members: optionalNumber,
    skipped: number,
    unchanged: number,
    leavers: number,
    toSend: number,
    newcomers: number,
    newcomersRefused: number,
    accepted: number,
    confirmed: number,
    rejected: number,
    unconfirmed: number,
    notSent: number,
  },
  run_requests: {
    requestedById: textKey,
    idempotencyKey: textKey,
    exportId: text,
    force: flag,
    runId: text,
    requestedAt: text,
  },
  ledgers: { id: countedKey, exportId: text, account: text, listId: text },
  ledger_entries: {
    ledgerId: numberKey,
    emailKey: textKey,
    profileId: text,
    plannedRun: optionalNumber,
    task: number,
    wanted: longText,
    delivered: optionalLongText,
    standing: number,
    gone: flag,
    doubt: optionalNumber,
    filled: number,
    everSent: number,
    removals: optionalLongText,
    refusedRun: optionalNumber,
    refusal: optionalLongText,
  },
  former_addresses: { ledgerId: numberKey, profileId: textKey, emailKey: textKey, email: text },
  batches: {
    id: countedKey,
    runId: text,
    fromKey: text,
    toKey: text,
    checked: flag,
    contacts: number,
    state: text,
    confirmed: number,
    rejected: number,
    unconfirmed: number,
    mayHaveArrived: flag,
    losses: number,
    intentAt: text,
    begunAt: optionalText,
    receipt: optionalText,
    acceptedAt: optionalText,
  },
  rejections: {
    id: countedKey,
    runId: text,
    profileId: text,
    email: optionalText,
    reason: text,
    detail: optionalText,
  },
};

/** Tables that are read along their key: on SQLite the rows lie in the key's own tree. */
const CLUSTERED = new Set(['profiles', 'segment_members', 'ledger_entries', 'former_addresses']);

const INDEXES: [name: string, on: string][] = [
  ['UNIQUE "api_tokens_hash"', '"api_tokens" ("hash")'],
  ['UNIQUE "segments_name"', '"segments" ("name")'],
  ['UNIQUE "consents_in_force"', '"consents" ("connectionId") WHERE "withdrawnAt" IS NULL'],
  ['"exports_connection"', '"exports" ("connectionId")'],
  ['"export_segments_segment"', '"export_segments" ("segmentId")'],
  ['UNIQUE "export_runs_number"', '"export_runs" ("exportId", "number")'],
  [
    'UNIQUE "export_runs_one_active"',
    `"export_runs" ("exportId") WHERE "state" IN ('RUNNING', 'HELD', 'CANCELING')`,
  ],
  ['UNIQUE "export_runs_one_queued"', `"export_runs" ("exportId") WHERE "state" = 'QUEUED'`],
  [
    '"export_runs_unfinished"',
    `"export_runs" ("account") WHERE "state" IN ('QUEUED', 'RUNNING', 'HELD', 'CANCELING')`,
  ],
  ['UNIQUE "ledgers_export_account_list"', '"ledgers" ("exportId", "account", "listId")'],
  ['"batches_run_state"', '"batches" ("runId", "state")'],
  ['"rejections_run"', '"rejections" ("runId", "id")'],
];

/** People, profiles, segments, connections with consent, exports, runs, the ledger and the batches. */
export class FirstTables1795469000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    for (const [name, columns] of Object.entries(TABLES)) {
      await runner.createTable(
        new Table({
          name,
          columns: Object.entries(columns).map(([column, kind]) => ({ name: column, ...kind })),
          withoutRowid: CLUSTERED.has(name),
        }),
      );
    }
    for (const [name, on] of INDEXES) {
      const [, unique, bare] = /^(UNIQUE )?(.+)$/.exec(name) ?? [];
      await runner.query(`CREATE ${unique ?? ''}INDEX ${bare ?? name} ON ${on}`);
    }
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const name of Object.keys(TABLES).reverse()) await runner.dropTable(name);
  }
}
