import { Field, ID, Int, ObjectType, registerEnumType } from 'type-graphql';
import { GraphQLDateTime } from 'graphql-scalars';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { moment, optionalMoment } from './columns.js';
import { Problem } from './problem.js';

export enum RefreshTrigger {
  SCHEDULE = 'SCHEDULE',
  ON_DEMAND = 'ON_DEMAND',
}
registerEnumType(RefreshTrigger, {
  name: 'RefreshTrigger',
  description: 'What started a refresh.',
  valuesConfig: {
    SCHEDULE: { description: 'The system schedule.' },
    ON_DEMAND: { description: 'Somebody asked for it (runRefresh).' },
  },
});

export enum RefreshState {
  RUNNING = 'RUNNING',
  SUCCEEDED = 'SUCCEEDED',
  SUCCEEDED_WITH_WARNINGS = 'SUCCEEDED_WITH_WARNINGS',
}
registerEnumType(RefreshState, {
  name: 'RefreshState',
  description: 'Where a refresh stands.',
  valuesConfig: {
    RUNNING: { description: 'Segments are evaluated, then exports are queued. Goes on after a restart.' },
    SUCCEEDED: { description: 'Every segment was evaluated and every export that follows was queued.' },
    SUCCEEDED_WITH_WARNINGS: { description: 'A segment failed, or an export could not run; see the steps.' },
  },
});

export enum RefreshStepKind {
  SEGMENT = 'SEGMENT',
  EXPORT = 'EXPORT',
}
registerEnumType(RefreshStepKind, {
  name: 'RefreshStepKind',
  description: 'What a step of a refresh is about.',
  valuesConfig: {
    SEGMENT: { description: 'A dynamic segment is evaluated.' },
    EXPORT: { description: 'A run of an export is queued.' },
  },
});

export enum RefreshStepState {
  PENDING = 'PENDING',
  RUNNING = 'RUNNING',
  SUCCEEDED = 'SUCCEEDED',
  FAILED = 'FAILED',
  SKIPPED = 'SKIPPED',
}
registerEnumType(RefreshStepState, {
  name: 'RefreshStepState',
  description: 'Where a step of a refresh stands.',
  valuesConfig: {
    PENDING: { description: 'Its turn has not come.' },
    RUNNING: { description: 'Under way.' },
    SUCCEEDED: { description: 'The segment was evaluated, or the run queued.' },
    FAILED: { description: 'The segment could not be evaluated; it keeps its members. `problem` says why.' },
    SKIPPED: { description: 'Not attempted, or the run was SKIPPED; `problem` says why.' },
  },
});

@ObjectType({ description: 'The dynamic segments are evaluated, then the exports that follow are queued.' })
@Entity('refreshes')
// Several processes may want to start one at the same moment.
@Index('refreshes_one_running', ['state'], { unique: true, where: `"state" = 'RUNNING'` })
export class Refresh {
  @Field(() => ID, { description: 'Never changes. Later refreshes have greater ids.' })
  @PrimaryColumn('varchar')
  id!: string;

  @Field(() => RefreshTrigger, { description: 'What started it.' })
  @Column('varchar')
  trigger!: RefreshTrigger;

  @Column('varchar', { nullable: true })
  requestedById!: string | null;

  /** The network address of that person, for the audit trail of the runs. */
  @Column('varchar', { nullable: true })
  requestedFrom!: string | null;

  @Field(() => RefreshState, { description: 'Where it stands.' })
  @Column('varchar')
  state!: RefreshState;

  @Field(() => Int, { description: '1, plus one for every time it was taken up again after a restart.' })
  @Column('integer')
  attempt!: number;

  @Field(() => GraphQLDateTime, { description: 'When it began.' })
  @Column(moment)
  startedAt!: Date;

  @Field(() => GraphQLDateTime, { nullable: true, description: 'When everything was queued. Null: not yet.' })
  @Column(optionalMoment)
  finishedAt!: Date | null;
}

@ObjectType({ description: 'One segment, or one export, of a refresh.' })
@Entity('refresh_steps')
export class RefreshStep {
  @PrimaryColumn('varchar')
  refreshId!: string;

  /** The order in which the steps are taken. */
  @PrimaryColumn('integer')
  position!: number;

  @Field(() => RefreshStepKind, { description: 'What it is about.' })
  @Column('varchar')
  kind!: RefreshStepKind;

  @Field(() => ID, { description: 'The id of the segment or the export.' })
  @Column('varchar')
  subjectId!: string;

  @Field(() => String, { description: 'Its name at that time.' })
  @Column('varchar')
  name!: string;

  @Field(() => RefreshStepState, { description: 'Where it stands.' })
  @Column('varchar')
  state!: RefreshStepState;

  @Field(() => Problem, { nullable: true, description: 'Why it failed or was skipped.' })
  @Column('simple-json', { nullable: true })
  problem!: Problem | null;

  @Field(() => Int, { nullable: true, description: 'How many members the segment has since.' })
  @Column('integer', { nullable: true })
  memberCount!: number | null;

  /** The run that was queued, joined or skipped. */
  @Column('varchar', { nullable: true })
  runId!: string | null;

  @Field(() => GraphQLDateTime, { nullable: true, description: 'When it began.' })
  @Column(optionalMoment)
  startedAt!: Date | null;

  @Field(() => GraphQLDateTime, { nullable: true, description: 'When it ended.' })
  @Column(optionalMoment)
  finishedAt!: Date | null;
}
