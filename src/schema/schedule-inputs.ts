import { MaxLength } from 'class-validator';
import { Field, InputType } from 'type-graphql';
import { Recurrence } from '../entities/export-schedule.js';
import { RefreshFrequency, Weekday } from '../entities/refresh-schedule.js';

/** More than any expression or zone that makes sense; what is longer is not worth reading. */
const MAX_TEXT = 200;

@InputType({ description: 'When an export is to run by itself. Replaces the whole schedule.' })
export class ScheduleInput {
  @Field(() => Boolean, { description: 'Off: it runs on demand and by triggers alone.' })
  enabled!: boolean;

  @Field(() => Recurrence, {
    defaultValue: Recurrence.EVERY_REFRESH,
    description: 'With every refresh, or at times of its own.',
  })
  recurrence!: Recurrence;

  @MaxLength(MAX_TEXT)
  @Field(() => String, {
    nullable: true,
    description:
      'For CRON alone, which needs it: minute, hour, day of the month, month, day of the week, like `30 7 * * MON-FRI`. ' +
      'At most every 5 minutes. A time that daylight saving time leaves out runs at the next minute that exists; one that ' +
      'exists twice runs once.',
  })
  cron?: string | null;

  @MaxLength(MAX_TEXT)
  @Field(() => String, {
    nullable: true,
    description: 'For CRON alone: an IANA time zone, like `Europe/Prague`. Left out: UTC.',
  })
  timeZone?: string | null;
}

@InputType({ description: 'When the system is to refresh. Replaces the whole schedule.' })
export class RefreshScheduleInput {
  @Field(() => Boolean, { description: 'Off: refreshes happen by runRefresh alone.' })
  enabled!: boolean;

  @Field(() => RefreshFrequency, { description: 'On every day, or on those that are named.' })
  frequency!: RefreshFrequency;

  @Field(() => [Weekday], { nullable: true, description: 'For WEEKLY alone, which needs at least one.' })
  days?: Weekday[] | null;

  @Field(() => [String], {
    description: 'Up to four times a day, like `07:30`. None is enough while the schedule is off.',
  })
  times!: string[];

  @MaxLength(MAX_TEXT)
  @Field(() => String, { description: 'An IANA time zone, like `Europe/Prague`.' })
  timeZone!: string;
}
