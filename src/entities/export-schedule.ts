import { Field, ObjectType, registerEnumType } from 'type-graphql';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { optionalMoment } from './columns.js';

export enum Recurrence {
  EVERY_REFRESH = 'EVERY_REFRESH',
  CRON = 'CRON',
}
registerEnumType(Recurrence, {
  name: 'Recurrence',
  description: 'When a schedule starts runs.',
  valuesConfig: {
    EVERY_REFRESH: {
      description: 'Whenever the system schedule has evaluated the segments (refreshSchedule).',
    },
    CRON: { description: 'At times of its own.' },
  },
});

/** When an export runs by itself. Every export has one row. */
@Entity('export_schedules')
@ObjectType({ description: 'When an export runs by itself.' })
export class ExportSchedule {
  @PrimaryColumn('varchar')
  exportId!: string;

  @Field(() => Boolean, { description: 'Off: it runs on demand and by triggers alone.' })
  @Column('boolean')
  enabled!: boolean;

  @Field(() => Recurrence, { description: 'When it starts runs.' })
  @Column('varchar')
  recurrence!: Recurrence;

  @Field(() => String, {
    nullable: true,
    description: 'Minute, hour, day of the month, month, day of the week. Null: it follows every refresh.',
  })
  @Column('varchar', { nullable: true })
  cron!: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'The IANA time zone of `cron`. Null: it follows every refresh.',
  })
  @Column('varchar', { nullable: true })
  timeZone!: string | null;

  /**
   * The next moment at which it starts a run, written down: whoever moves it on starts the run in the same transaction,
   * so that each is started once. Null: off, or it follows every refresh.
   */
  @Index('export_schedules_due')
  @Column(optionalMoment)
  dueAt!: Date | null;
}
