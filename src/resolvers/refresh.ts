import { Arg, Args, Ctx, FieldResolver, Mutation, Query, Resolver, Root } from 'type-graphql';
import { ExportRun } from '../entities/export-run.js';
import { RefreshSchedule } from '../entities/refresh-schedule.js';
import { Refresh, RefreshStep } from '../entities/refresh.js';
import { User } from '../entities/user.js';
import { getRefreshSchedule, setRefreshSchedule } from '../jobs/refresh-schedule.js';
import { listRefreshes, stepsOf } from '../jobs/refreshes.js';
import type { Page } from '../page.js';
import { authorise } from '../schema/authorise.js';
import type { Context } from '../schema/context.js';
import { RefreshArguments } from '../schema/refresh-arguments.js';
import { RefreshPage } from '../schema/pages.js';
import { RefreshScheduleInput } from '../schema/schedule-inputs.js';

@Resolver(() => Refresh)
export class RefreshResolver {
  @Query(() => RefreshSchedule, { description: 'When the system refreshes.' })
  async refreshSchedule(@Ctx() context: Context): Promise<RefreshSchedule> {
    await authorise(context, 'Query.refreshSchedule');
    return getRefreshSchedule(context.services);
  }

  @Query(() => RefreshPage, { description: 'Refreshes, the latest first. Codes: BAD_USER_INPUT.' })
  async refreshes(
    @Args(() => RefreshArguments) page: RefreshArguments,
    @Ctx() context: Context,
  ): Promise<Page<Refresh>> {
    await authorise(context, 'Query.refreshes');
    return listRefreshes(context.services, page);
  }

  @Mutation(() => RefreshSchedule, {
    description:
      'Sets when the system refreshes. A refresh under way goes on. Administrators only. Codes: FORBIDDEN, BAD_USER_INPUT.',
  })
  async setRefreshSchedule(
    @Arg('input', () => RefreshScheduleInput, { description: 'The whole schedule.' })
    input: RefreshScheduleInput,
    @Ctx() context: Context,
  ): Promise<RefreshSchedule> {
    const actor = await authorise(context, 'Mutation.setRefreshSchedule');
    return setRefreshSchedule(context.services, actor, input);
  }

  @Mutation(() => [ExportRun], {
    description:
      'Evaluates the dynamic segments, then queues every export whose schedule is on and follows every refresh; answers ' +
      'their runs once they are queued. Joins a refresh that is under way. Administrators only. Codes: FORBIDDEN, CONFLICT when the ' +
      'server stops meanwhile; the refresh goes on after the next start.',
  })
  async runRefresh(@Ctx() context: Context): Promise<ExportRun[]> {
    const actor = await authorise(context, 'Mutation.runRefresh');
    return context.services.refresher.request(actor);
  }

  @FieldResolver(() => [RefreshStep], {
    description: 'The segments in the order in which they are evaluated, then the exports.',
  })
  steps(@Root() { id }: Refresh, @Ctx() context: Context): Promise<RefreshStep[]> {
    return stepsOf(context.services, id);
  }

  @FieldResolver(() => User, { nullable: true, description: 'Who asked for it. Null: the schedule.' })
  requestedBy(@Root() { requestedById }: Refresh, @Ctx() context: Context): Promise<User | null> {
    return context.loaders.user(requestedById);
  }
}

@Resolver(() => RefreshStep)
export class RefreshStepResolver {
  @FieldResolver(() => ExportRun, {
    nullable: true,
    description:
      'The run of the export that was queued, joined or skipped. Null: a segment, or the export was removed.',
  })
  run(@Root() { runId }: RefreshStep, @Ctx() context: Context): Promise<ExportRun | null> {
    return context.loaders.run(runId);
  }
}
