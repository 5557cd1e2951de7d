import { Field, ID, Int, ObjectType, registerEnumType } from 'type-graphql';
import { GraphQLDateTime } from 'graphql-scalars';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { moment, optionalMoment } from './columns.js';
import type { DestinationKind } from './connection.js';
import { Problem } from './problem.js';

export enum ExportRunState {
  QUEUED = 'QUEUED',
  RUNNING = 'RUNNING',
  HELD = 'HELD',
  CANCELING = 'CANCELING',
  SUCCEEDED = 'SUCCEEDED',
  SUCCEEDED_WITH_WARNINGS = 'SUCCEEDED_WITH_WARNINGS',
  FAILED = 'FAILED',
  CANCELED = 'CANCELED',
  SKIPPED = 'SKIPPED',
}
registerEnumType(ExportRunState, {
  name: 'ExportRunState',
  description: 'Where a run stands. The last five are final: nothing changes after them.',
  valuesConfig: {
    QUEUED: { description: 'Waits for its turn; nothing was looked at yet.' },
    RUNNING: { description: 'Under way; `phase` says how far.' },
    HELD: {
      description:
        'It would take many contacts off the list: nothing is sent until somebody approves it (approveExportRun). Cancelled by itself after 7 days.',
    },
    CANCELING: { description: 'Nothing more is sent; what was accepted is still followed up.' },
    SUCCEEDED: { description: 'The destination confirmed everything.' },
    SUCCEEDED_WITH_WARNINGS: {
      description:
        'Everything planned was sent, but somebody is rejected or unconfirmed or was skipped for a missing or invalid address.',
    },
    FAILED: { description: 'Somebody planned was never sent; `problem` says why.' },
    CANCELED: { description: 'Somebody asked for an end.' },
    SKIPPED: { description: 'Ended before anything was sent; `problem` says why.' },
  },
});

export enum ExportRunPhase {
  PREPARING = 'PREPARING',
  SENDING = 'SENDING',
  CONFIRMING = 'CONFIRMING',
}
registerEnumType(ExportRunPhase, {
  name: 'ExportRunPhase',
  description: 'What a running run is doing.',
  valuesConfig: {
    PREPARING: { description: 'Works out who is to be sent.' },
    SENDING: { description: 'Sends, and asks about what was accepted.' },
    CONFIRMING: { description: 'Everything is sent; the last outcomes are awaited.' },
  },
});

export enum ExportRunTrigger {
  ON_DEMAND = 'ON_DEMAND',
  RUN_ALL = 'RUN_ALL',
  SCHEDULE = 'SCHEDULE',
  REFRESH = 'REFRESH',
  WEBHOOK = 'WEBHOOK',
}
registerEnumType(ExportRunTrigger, {
  name: 'ExportRunTrigger',
  description: 'What started a run.',
  valuesConfig: {
    ON_DEMAND: { description: 'Somebody asked for this export.' },
    RUN_ALL: { description: 'Somebody asked for all exports (runAllExports).' },
    SCHEDULE: { description: "The export's own schedule." },
    REFRESH: { description: 'A refresh, once the segments were evaluated.' },
    WEBHOOK: { description: 'A call of a trigger.' },
  },
});

/**
 * One execution of an export.
 *
 * The counters live here, and change in the transaction that decides the people they count:
 * members = skipped + unchanged + (toSend - leavers), and in a final state toSend = confirmed + rejected + unconfirmed + notSent.
 */
@Entity('export_runs')
@Index('export_runs_number', ['exportId', 'number'], { unique: true })
// One run of an export is active and at most one more is queued, whoever asks at the same time.
@Index('export_runs_one_active', ['exportId'], {
  unique: true,
  where: `"state" IN ('RUNNING', 'HELD', 'CANCELING')`,
})
@Index('export_runs_one_queued', ['exportId'], { unique: true, where: `"state" = 'QUEUED'` })
@Index('export_runs_unfinished', ['account'], {
  where: `"state" IN ('QUEUED', 'RUNNING', 'HELD', 'CANCELING')`,
})
@ObjectType({ description: 'One execution of an export.' })
export class ExportRun {
  @Field(() => ID, { description: 'Never changes. Later runs have greater ids.' })
  @PrimaryColumn('varchar')
  id!: string;

  @Column('varchar')
  exportId!: string;

  /** Counts the runs of one export from 1; the ledger notes it. */
  @Column('integer')
  number!: number;

  @Field(() => ExportRunTrigger, { description: 'What started it.' })
  @Column('varchar')
  trigger!: ExportRunTrigger;

  @Column('varchar', { nullable: true })
  requestedById!: string | null;

  @Field(() => ExportRunState, { description: 'Where it stands.' })
  @Column('varchar')
  state!: ExportRunState;

  @Field(() => ExportRunPhase, { nullable: true, description: 'Null unless the run is under way.' })
  @Column('varchar', { nullable: true })
  phase!: ExportRunPhase | null;

  @Field(() => Problem, {
    nullable: true,
    description:
      'What went wrong, if the run did not end as it should. While it is under way: why it waits; null when it goes on.',
  })
  @Column('simple-json', { nullable: true })
  problem!: Problem | null;

  /** Where the run goes, as it was when it was taken up; a connection that differs later ends it. */
  @Column('varchar')
  connectionId!: string;

  @Column('integer')
  connectionRevision!: number;

  @Column('varchar')
  kind!: DestinationKind;

  /** The destination account whose pump works the run. */
  @Column('varchar')
  account!: string;

  @Column('varchar')
  listId!: string;

  @Column('boolean')
  runAutomations!: boolean;

  /** Sends also who is at the destination as wanted. */
  @Column('boolean')
  force!: boolean;

  /** The generations of segment members that the run reads; they are not swept away while it prepares. */
  @Column('simple-json', { nullable: true })
  generations!: number[] | null;

  /** Set as soon as the run prepares. */
  @Column('integer', { nullable: true })
  ledgerId!: number | null;

  @Field(() => GraphQLDateTime, { description: 'When it was asked for.' })
  @Column(moment)
  queuedAt!: Date;

  @Field(() => GraphQLDateTime, {
    nullable: true,
    description: 'When it was first taken up. Null: it still waits, or never was.',
  })
  @Column(optionalMoment)
  startedAt!: Date | null;

  @Field(() => GraphQLDateTime, {
    nullable: true,
    description: 'When it reached its final state. Null: not yet.',
  })
  @Column(optionalMoment)
  finishedAt!: Date | null;

  @Field(() => GraphQLDateTime, { nullable: true, description: 'When somebody asked for an end.' })
  @Column(optionalMoment)
  cancelRequestedAt!: Date | null;

  @Field(() => Int, { description: '1, plus one for every time the run was taken up again.' })
  @Column('integer')
  attempt!: number;

  /** When the run was last held; null: never. */
  @Column(optionalMoment)
  heldAt!: Date | null;

  /** How many leavers somebody has approved; null: nobody was asked, or has answered yet. */
  @Column('integer', { nullable: true })
  approvedLeavers!: number | null;

  /**
   * When the run passed its hold with every segment active: whoever it found gone has left its export for good (see
   * exports/departures.ts). Null: not yet, or never. Whoever removes a run must write this down elsewhere first.
   */
  @Column(optionalMoment)
  departuresFinalAt!: Date | null;

  /** Grows with every change that is published. */
  @Column('integer')
  sequence!: number;

  @Column('integer', { nullable: true })
  members!: number | null;

  @Column('integer')
  skipped!: number;

  @Column('integer')
  unchanged!: number;

  @Column('integer')
  leavers!: number;

  @Column('integer')
  toSend!: number;

  /** Of those to be sent, who was never delivered before; and who of these was refused in this run. */
  @Column('integer')
  newcomers!: number;

  @Column('integer')
  newcomersRefused!: number;

  @Column('integer')
  accepted!: number;

  @Column('integer')
  confirmed!: number;

  @Column('integer')
  rejected!: number;

  @Column('integer')
  unconfirmed!: number;

  @Column('integer')
  notSent!: number;
}

/** Remembers which run answered a request that carried an idempotency key, so that the same request gets it again. */
@Entity('run_requests')
export class RunRequest {
  @PrimaryColumn('varchar')
  requestedById!: string;

  @PrimaryColumn('varchar')
  idempotencyKey!: string;

  @Column('varchar')
  exportId!: string;

  @Column('boolean')
  force!: boolean;

  @Column('varchar')
  runId!: string;

  @Column(moment)
  requestedAt!: Date;
}
