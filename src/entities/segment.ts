import { Field, ID, Int, ObjectType, registerEnumType } from 'type-graphql';
import { GraphQLDateTime, GraphQLJSONObject } from 'graphql-scalars';
import { Column, Entity, Index, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';
import { moment, optionalMoment } from './columns.js';

export enum SegmentKind {
  STATIC = 'STATIC',
  DYNAMIC = 'DYNAMIC',
}
registerEnumType(SegmentKind, {
  name: 'SegmentKind',
  description: 'How a segment gets its members.',
  valuesConfig: {
    STATIC: { description: 'Its members were given, by an import.' },
    DYNAMIC: { description: 'A rule decides, whenever the segment is evaluated.' },
  },
});

export enum SegmentState {
  ACTIVE = 'ACTIVE',
  INACTIVE = 'INACTIVE',
}
registerEnumType(SegmentState, {
  name: 'SegmentState',
  description: 'Whether exports use the segment.',
  valuesConfig: {
    ACTIVE: { description: 'Exports send its members.' },
    INACTIVE: { description: 'Kept, but exports pass over it.' },
  },
});

@Entity('segments')
@ObjectType({ description: 'A named set of profiles.' })
export class Segment {
  @Field(() => ID, { description: 'Never changes, unlike the name.' })
  @PrimaryColumn('varchar')
  id!: string;

  @Field(() => String, { description: 'Unique among the segments.' })
  @Index('segments_name', { unique: true })
  @Column('varchar')
  name!: string;

  @Field(() => SegmentKind, { description: 'How it gets its members.' })
  @Column('varchar')
  kind!: SegmentKind;

  @Field(() => SegmentState, { description: 'Whether exports use it.' })
  @Column('varchar')
  state!: SegmentState;

  @Field(() => GraphQLJSONObject, {
    nullable: true,
    description:
      'Who belongs to it, as it was written. Null: the segment is STATIC. For contributors and administrators; null for viewers, because ' +
      'a rule compares with values of profiles.',
  })
  @Column('simple-json', { nullable: true })
  rule!: object | null;

  @Field(() => Int, { description: 'How many profiles it holds.' })
  @Column('integer')
  memberCount!: number;

  /** The generation of members that counts; null: it never had any. */
  @Column('integer', { nullable: true })
  generation!: number | null;

  @Field(() => GraphQLDateTime, {
    nullable: true,
    description:
      'Since when its members are as they are: the last import, or the moment at which the last evaluation began. Null: not yet.',
  })
  @Column(optionalMoment)
  evaluatedAt!: Date | null;

  @Field(() => GraphQLDateTime, { description: 'When it was made.' })
  @Column(moment)
  createdAt!: Date;
}

/**
 * One complete set of a segment's members. A new set is written beside the old one and becomes the segment's by one
 * change of `Segment.generation`, so nobody ever sees half of it.
 */
@Entity('segment_generations')
export class SegmentGeneration {
  @PrimaryGeneratedColumn('increment', { type: 'integer' })
  id!: number;

  /** Null exactly while an import or an evaluation is still filling it. */
  @Column('varchar', { nullable: true })
  segmentId!: string | null;

  /** When it was begun, and while it is being filled: when its filler last said so. */
  @Column({ ...moment, name: 'createdAt' })
  aliveAt!: Date;
}

@Entity('segment_sizes')
@Index('segment_sizes_segment', ['segmentId', 'id'])
@ObjectType({ description: 'How large a segment was once its members were given or evaluated.' })
export class SegmentSize {
  @PrimaryGeneratedColumn('increment', { type: 'integer' })
  id!: number;

  @Column('varchar')
  segmentId!: string;

  @Field(() => GraphQLDateTime, { description: 'The import, or the moment at which the evaluation began.' })
  @Column(moment)
  at!: Date;

  @Field(() => Int, { description: 'How many profiles it held then.' })
  @Column('integer')
  memberCount!: number;

  @Field(() => Int, {
    description: 'Values that the rule could not read as it asks; who has one is no member by it.',
  })
  @Column('integer')
  unparsedValues!: number;
}

@Entity('segment_members', { withoutRowid: true })
export class SegmentMember {
  @PrimaryColumn('integer')
  generation!: number;

  @PrimaryColumn('varchar')
  profileId!: string;
}
