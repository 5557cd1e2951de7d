import { GraphQLDateTime } from 'graphql-scalars';
import { Arg, Ctx, FieldResolver, ID, Mutation, Resolver, Root } from 'type-graphql';
import { ExportRun } from '../entities/export-run.js';
import { ExportSchedule } from '../entities/export-schedule.js';
import { Export } from '../entities/export.js';
import { runAllExports } from '../exports/run-all.js';
import { enableSchedules, scheduleExports } from '../exports/schedules.js';
import { upcomingRuns } from '../jobs/refresh-schedule.js';
import { authorise, visibleSharings } from '../schema/authorise.js';
import type { Context } from '../schema/context.js';
import { ScheduleInput } from '../schema/schedule-inputs.js';

const IDS_OF_EXPORTS = { description: 'The ids of the exports, at most 100.' };

@Resolver(() => ExportSchedule)
export class ScheduleResolver {
  @Mutation(() => [Export], {
    description:
      'Gives several exports the same schedule, all or none. Whoever may use their connections may. Codes: FORBIDDEN, NOT_FOUND, ' +
      'BAD_USER_INPUT.',
  })
  async scheduleExports(
    @Arg('ids', () => [ID], IDS_OF_EXPORTS) ids: string[],
    @Arg('schedule', () => ScheduleInput, { description: 'The schedule of all of them.' })
    schedule: ScheduleInput,
    @Ctx() context: Context,
  ): Promise<Export[]> {
    const actor = await authorise(context, 'Mutation.scheduleExports', { export: ids });
    return scheduleExports(context.services, actor, ids, schedule);
  }

  @Mutation(() => [Export], {
    description:
      'Switches the schedules of several exports on or off, all or none; each keeps its own times. What fell due while ' +
      'it was off is not made up. Whoever may use their connections may. Codes: FORBIDDEN, NOT_FOUND, BAD_USER_INPUT.',
  })
  async enableSchedules(
    @Arg('ids', () => [ID], IDS_OF_EXPORTS) ids: string[],
    @Arg('enabled', () => Boolean, { description: 'Whether they are to run by themselves.' })
    enabled: boolean,
    @Ctx() context: Context,
  ): Promise<Export[]> {
    const actor = await authorise(context, 'Mutation.enableSchedules', { export: ids });
    return enableSchedules(context.services, actor, ids, enabled);
  }

  @Mutation(() => [ExportRun], {
    description:
      'Asks for a run of every export whose schedule is on; runExport runs any. One that could not run gets a SKIPPED run ' +
      'with the reason; detached ones are passed over, and, for contributors, those whose connection is not shared with them. Answers the runs that were queued, joined or skipped. Contributors and administrators. Codes: FORBIDDEN.',
  })
  async runAllExports(@Ctx() context: Context): Promise<ExportRun[]> {
    const actor = await authorise(context, 'Mutation.runAllExports');
    return runAllExports(context.services, actor, visibleSharings(context.user));
  }

  @FieldResolver(() => GraphQLDateTime, {
    nullable: true,
    description: 'When it runs next. Null: it is off, or follows refreshes while the system schedule is off.',
  })
  async nextRunAt(@Root() schedule: ExportSchedule, @Ctx() context: Context): Promise<Date | null> {
    return (await upcomingRuns(context.services, schedule))[0] ?? null;
  }

  @FieldResolver(() => [GraphQLDateTime], {
    description:
      'The next five times. One that has passed is due, and starts when the refresh under way has ended.',
  })
  upcoming(@Root() schedule: ExportSchedule, @Ctx() context: Context): Promise<Date[]> {
    return upcomingRuns(context.services, schedule);
  }
}
