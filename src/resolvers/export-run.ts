import {
  Arg,
  Args,
  Ctx,
  FieldResolver,
  ID,
  Mutation,
  Query,
  Resolver,
  Root,
  Subscription,
} from 'type-graphql';
import type { SubscribeResolverData } from 'type-graphql';
import { ExportRun } from '../entities/export-run.js';
import { Export } from '../entities/export.js';
import type { Rejection } from '../entities/rejection.js';
import { User } from '../entities/user.js';
import { approveRun } from '../exports/hold.js';
import { ExportRunProgress, progressOf } from '../exports/progress.js';
import { cancelRun, getRun, listRejections, listRuns, requestRun } from '../exports/runs.js';
import type { Page } from '../page.js';
import { authorise } from '../schema/authorise.js';
import type { Context } from '../schema/context.js';
import { ExportRunPage, RejectionPage } from '../schema/pages.js';
import { RejectionPageArguments, RunChangedArguments, RunPageArguments } from '../schema/run-arguments.js';

const ID_OF_RUN = { description: 'The id of the run.' };

@Resolver(() => ExportRun)
export class ExportRunResolver {
  @Query(() => ExportRunPage, {
    description: 'Runs of all exports, the latest first. Codes: BAD_USER_INPUT.',
  })
  async exportRuns(
    @Args(() => RunPageArguments) { state, ...page }: RunPageArguments,
    @Ctx() context: Context,
  ): Promise<Page<ExportRun>> {
    await authorise(context, 'Query.exportRuns');
    return listRuns(context.services, page, { state });
  }

  @Query(() => ExportRun, { description: 'One run. Codes: NOT_FOUND.' })
  async exportRun(@Arg('id', () => ID, ID_OF_RUN) id: string, @Ctx() context: Context): Promise<ExportRun> {
    await authorise(context, 'Query.exportRun');
    return getRun(context.services, id);
  }

  @Mutation(() => ExportRun, {
    description:
      'Asks for a run. One run of an export is active (HELD counts) and at most one more is queued: a request that finds one queued ' +
      'gets that one back. Whoever may use the connection may. Codes: FORBIDDEN, NOT_FOUND, CONFLICT when the export is ' +
      'detached; CONSENT_REQUIRED; CONNECTION_FAILED when the connection is not CONNECTED or has no export user; ' +
      'IDEMPOTENCY_KEY_REUSED when the key came with another export.',
  })
  async runExport(
    @Arg('exportId', () => ID, { description: 'The id of the export.' }) exportId: string,
    @Arg('idempotencyKey', () => String, {
      nullable: true,
      description:
        'A text of your own, 1 to 200 characters: the same request again, with the same key, gets the same run back.',
    })
    idempotencyKey: string | null | undefined,
    @Arg('force', () => Boolean, {
      defaultValue: false,
      description: 'Sends also the people who are at the destination as they should be.',
    })
    force: boolean,
    @Ctx() context: Context,
  ): Promise<ExportRun> {
    const actor = await authorise(context, 'Mutation.runExport', { export: exportId });
    return requestRun(context.services, actor, exportId, { idempotencyKey, force });
  }

  @Mutation(() => ExportRun, {
    description:
      'Lets a run that is HELD go on. It prepares again, and is held again if more contacts would leave than its figures ' +
      'say now. Whoever may use the connection may. Codes: FORBIDDEN, NOT_FOUND, CONFLICT when the run is not HELD.',
  })
  async approveExportRun(
    @Arg('id', () => ID, ID_OF_RUN) id: string,
    @Ctx() context: Context,
  ): Promise<ExportRun> {
    const actor = await authorise(context, 'Mutation.approveExportRun', { run: id });
    return approveRun(context.services, actor, id);
  }

  @Mutation(() => ExportRun, {
    description:
      'Asks a run to end: nothing more is sent, what the destination accepted is still followed up. A run that has ' +
      'ended stays as it is. Whoever may use the connection may. Codes: FORBIDDEN, NOT_FOUND.',
  })
  async cancelExportRun(
    @Arg('id', () => ID, ID_OF_RUN) id: string,
    @Ctx() context: Context,
  ): Promise<ExportRun> {
    const actor = await authorise(context, 'Mutation.cancelExportRun', { run: id });
    return cancelRun(context.services, actor, id);
  }

  @Subscription(() => ExportRun, {
    description:
      'Runs as they change. With runId the first event is the run as it is now, and the stream ends after its final ' +
      'state, which always arrives. At most four events a second for a run. Without arguments: every run that the ' +
      'caller may see. Over WebSocket only. Codes: NOT_FOUND.',
    subscribe: async ({ args, context }: SubscribeResolverData<undefined, RunChangedArguments, Context>) => {
      await authorise(context, 'Subscription.exportRunChanged');
      return context.services.hub.subscribe(args);
    },
  })
  exportRunChanged(
    @Args(() => RunChangedArguments) _only: RunChangedArguments,
    @Root() run: ExportRun,
  ): ExportRun {
    return run;
  }

  @FieldResolver(() => Export, { description: 'What it is a run of.' })
  export(@Root() { exportId }: ExportRun, @Ctx() context: Context): Promise<Export | null> {
    return context.loaders.export(exportId);
  }

  @FieldResolver(() => User, { nullable: true, description: 'Who asked for it. Null: nobody in person.' })
  requestedBy(@Root() { requestedById }: ExportRun, @Ctx() context: Context): Promise<User | null> {
    return context.loaders.user(requestedById);
  }

  @FieldResolver(() => ExportRunProgress, { description: 'How far it is, in figures.' })
  progress(@Root() run: ExportRun, @Ctx() context: Context): ExportRunProgress {
    return progressOf(run, context.services.clock.now());
  }

  @FieldResolver(() => RejectionPage, {
    description:
      'The people that it did not deliver, kept as long as the run. Their addresses are for contributors and ' +
      'administrators. Codes: BAD_USER_INPUT.',
  })
  rejections(
    @Root() { id }: ExportRun,
    @Args(() => RejectionPageArguments) { reason, ...page }: RejectionPageArguments,
    @Ctx() context: Context,
  ): Promise<Page<Rejection>> {
    return listRejections(context.services, id, page, reason);
  }
}
