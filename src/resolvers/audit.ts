import { Args, Ctx, FieldResolver, Query, Resolver, Root } from 'type-graphql';
import { listAuditEvents } from '../audit/list-events.js';
import { AuditEvent } from '../entities/audit-event.js';
import { User } from '../entities/user.js';
import type { Page } from '../page.js';
import { AuditEventArguments } from '../schema/audit-arguments.js';
import { authorise } from '../schema/authorise.js';
import type { Context } from '../schema/context.js';
import { AuditEventPage } from '../schema/pages.js';

@Resolver(() => AuditEvent)
export class AuditResolver {
  @Query(() => AuditEventPage, {
    description:
      'Who did what, the latest first: every mutation and every call of a trigger, refused ones too, every import and every ' +
      'refused sign-in. Of refusals that anybody can cause, 60 a minute, then their number (`unwrittenBefore`). ' +
      'Administrators only. Codes: FORBIDDEN, BAD_USER_INPUT.',
  })
  async auditEvents(
    @Args(() => AuditEventArguments) { first, after, ...filter }: AuditEventArguments,
    @Ctx() context: Context,
  ): Promise<Page<AuditEvent>> {
    await authorise(context, 'Query.auditEvents');
    return listAuditEvents(context.services, { first, after }, filter);
  }

  @FieldResolver(() => User, {
    nullable: true,
    description: 'Who did it. Null: nobody who is known, or the server itself.',
  })
  actor(@Root() { actorId }: AuditEvent, @Ctx() { loaders }: Context): Promise<User | null> {
    return loaders.user(actorId);
  }
}
