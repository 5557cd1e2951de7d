import { Arg, Args, Ctx, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';
import { Export } from '../entities/export.js';
import { Trigger, TriggerAuthentication } from '../entities/trigger.js';
import type { Page } from '../page.js';
import { authorise } from '../schema/authorise.js';
import type { Context } from '../schema/context.js';
import { IssuedTriggerType } from '../schema/issued-trigger.js';
import { TriggerPage } from '../schema/pages.js';
import { TriggerPageArguments } from '../schema/trigger-arguments.js';
import {
  createTrigger,
  listTriggers,
  pathOf,
  removeTrigger,
  rotateTriggerSecret,
  setTriggerEnabled,
} from '../webhooks/triggers.js';

const ID_OF_TRIGGER = { description: 'The id of the trigger.' };

@Resolver(() => Trigger)
export class TriggerResolver {
  @Query(() => TriggerPage, { description: 'Triggers, the oldest first. Codes: BAD_USER_INPUT.' })
  async triggers(
    @Args(() => TriggerPageArguments) { exportId, ...page }: TriggerPageArguments,
    @Ctx() context: Context,
  ): Promise<Page<Trigger>> {
    await authorise(context, 'Query.triggers');
    return listTriggers(context.services, page, exportId);
  }

  @Mutation(() => IssuedTriggerType, {
    description:
      'Makes an address that starts runs of an export, and its secret. Whoever may use the connection may. Codes: FORBIDDEN, ' +
      'NOT_FOUND, BAD_USER_INPUT.',
  })
  async createTrigger(
    @Arg('exportId', () => ID, { description: 'The id of the export.' }) exportId: string,
    @Arg('name', () => String, { description: 'The name that people recognise it by, 1 to 200 characters.' })
    name: string,
    @Arg('authentication', () => TriggerAuthentication, {
      defaultValue: TriggerAuthentication.SIGNATURE,
      description: 'How callers show that they know the secret.',
    })
    authentication: TriggerAuthentication,
    @Ctx() context: Context,
  ): Promise<IssuedTriggerType> {
    const actor = await authorise(context, 'Mutation.createTrigger', { export: exportId });
    return createTrigger(context.services, actor, { exportId, name, authentication });
  }

  @Mutation(() => IssuedTriggerType, {
    description:
      'Gives a trigger another secret; the one that it had works for 24 hours more. Whoever may use the connection may. Codes: FORBIDDEN, NOT_FOUND.',
  })
  async rotateTriggerSecret(
    @Arg('id', () => ID, ID_OF_TRIGGER) id: string,
    @Ctx() context: Context,
  ): Promise<IssuedTriggerType> {
    const actor = await authorise(context, 'Mutation.rotateTriggerSecret', { trigger: id });
    return rotateTriggerSecret(context.services, actor, id);
  }

  @Mutation(() => Trigger, {
    description:
      'Switches a trigger on or off; while it is off it answers as if it did not exist. Whoever may use the connection may. Codes: FORBIDDEN, NOT_FOUND.',
  })
  async setTriggerEnabled(
    @Arg('id', () => ID, ID_OF_TRIGGER) id: string,
    @Arg('enabled', () => Boolean, { description: 'Whether it may be called.' }) enabled: boolean,
    @Ctx() context: Context,
  ): Promise<Trigger> {
    const actor = await authorise(context, 'Mutation.setTriggerEnabled', { trigger: id });
    return setTriggerEnabled(context.services, actor, id, enabled);
  }

  @Mutation(() => Boolean, {
    description:
      'Removes a trigger; what it started goes on. Whoever may use the connection may. Codes: FORBIDDEN, NOT_FOUND.',
  })
  async removeTrigger(
    @Arg('id', () => ID, ID_OF_TRIGGER) id: string,
    @Ctx() context: Context,
  ): Promise<boolean> {
    const actor = await authorise(context, 'Mutation.removeTrigger', { trigger: id });
    return removeTrigger(context.services, actor, id);
  }

  @FieldResolver(() => Export, { description: 'What it starts runs of.' })
  export(@Root() { exportId }: Trigger, @Ctx() context: Context): Promise<Export | null> {
    return context.loaders.export(exportId);
  }

  @FieldResolver(() => String, { description: 'Where it is called: POST to this path of the server.' })
  path(@Root() trigger: Trigger): string {
    return pathOf(trigger);
  }
}
