import { Field, ObjectType, registerEnumType } from 'type-graphql';
import { GraphQLDateTime } from 'graphql-scalars';
import { Column, Entity, PrimaryColumn } from 'typeorm';
import { optionalMoment } from './columns.js';

export enum RefreshFrequency {
  DAILY = 'DAILY',
  WEEKLY = 'WEEKLY',
}
registerEnumType(RefreshFrequency, {
  name: 'RefreshFrequency',
  description: 'On which days the system refreshes.',
  valuesConfig: {
    DAILY: { description: 'On every day.' },
    WEEKLY: { description: 'On the days that are named.' },
  },
});

export enum Weekday {
  MONDAY = 'MONDAY',
  TUESDAY = 'TUESDAY',
  WEDNESDAY = 'WEDNESDAY',
  THURSDAY = 'THURSDAY',
  FRIDAY = 'FRIDAY',
  SATURDAY = 'SATURDAY',
  SUNDAY = 'SUNDAY',
}
registerEnumType(Weekday, {
  name: 'Weekday',
  description: 'A day of the week.',
  valuesConfig: Object.fromEntries(
    Object.values(Weekday).map((day) => [
      day,
      { description: `${day.charAt(0)}${day.slice(1).toLowerCase()}.` },
    ]),
  ),
});

/** There is one system schedule, and this is the key of its row. */
export const THE_REFRESH_SCHEDULE = 1;

@Entity('refresh_schedules')
@ObjectType({
  description: 'When the system evaluates the dynamic segments and runs the exports that follow.',
})
export class RefreshSchedule {
  @PrimaryColumn('integer')
  id!: number;

  @Field(() => Boolean, { description: 'Off at first: then refreshes happen by runRefresh alone.' })
  @Column('boolean')
  enabled!: boolean;

  @Field(() => RefreshFrequency, { description: 'On which days.' })
  @Column('varchar')
  frequency!: RefreshFrequency;

  @Field(() => [Weekday], { description: 'The days of a WEEKLY schedule; empty when it is DAILY.' })
  @Column('simple-json')
  days!: Weekday[];

  @Field(() => [String], { description: 'Up to four times a day, like `07:30`, in the time zone.' })
  @Column('simple-json')
  times!: string[];

  @Field(() => String, { description: 'An IANA time zone, like `Europe/Prague`.' })
  @Column('varchar')
  timeZone!: string;

  /** The next refresh, written down as in ExportSchedule. */
  @Field(() => GraphQLDateTime, {
    nullable: true,
    name: 'nextAt',
    description: 'The next refresh. Null: the schedule is off.',
  })
  @Column(optionalMoment)
  dueAt!: Date | null;
}
