import { Arg, Ctx, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';
import { giveConsent, withdrawConsent } from '../connections/consent.js';
import type { ConsentStatement } from '../connections/consent-statements.js';
import { Connection, DestinationKind } from '../entities/connection.js';
import { Consent } from '../entities/consent.js';
import { User } from '../entities/user.js';
import { ConsentStatementType } from '../schema/consent-statement.js';
import { authorise } from '../schema/authorise.js';
import type { Context } from '../schema/context.js';

@Resolver(() => Consent)
export class ConsentResolver {
  @Query(() => ConsentStatementType, {
    description:
      'The privacy statement that has to be agreed to before anything is sent to such a destination.',
  })
  async consentStatement(
    @Arg('kind', () => DestinationKind, { description: 'The marketing tool.' }) kind: DestinationKind,
    @Ctx() context: Context,
  ): Promise<ConsentStatement> {
    await authorise(context, 'Query.consentStatement');
    return context.services.consentRules.statements[kind];
  }

  @Mutation(() => Connection, {
    description:
      'Agrees, in the name of the caller, that profiles may be sent through the connection. Text and version, who and ' +
      'when are recorded. Administrators only. Codes: FORBIDDEN, NOT_FOUND, BAD_USER_INPUT for another version than the current one.',
  })
  async giveConsent(
    @Arg('connectionId', () => ID, { description: 'The id of the connection.' }) connectionId: string,
    @Arg('statementVersion', () => String, { description: 'The version of the statement that was read.' })
    statementVersion: string,
    @Ctx() context: Context,
  ): Promise<Connection> {
    const actor = await authorise(context, 'Mutation.giveConsent');
    return giveConsent(context.services, actor, connectionId, statementVersion);
  }

  @Mutation(() => Connection, {
    description:
      'Takes the consent back. No request with profiles begins from then on, and runs under way end. ' +
      'Administrators only. Codes: FORBIDDEN, NOT_FOUND.',
  })
  async withdrawConsent(
    @Arg('connectionId', () => ID, { description: 'The id of the connection.' }) connectionId: string,
    @Ctx() context: Context,
  ): Promise<Connection> {
    const actor = await authorise(context, 'Mutation.withdrawConsent');
    return withdrawConsent(context.services, actor, connectionId);
  }

  @FieldResolver(() => User, { description: 'Who agreed.' })
  acceptedBy(@Root() { acceptedById }: Consent, @Ctx() context: Context): Promise<User | null> {
    return context.loaders.user(acceptedById);
  }
}
