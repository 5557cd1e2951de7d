import { GraphQLDateTime } from 'graphql-scalars';
import { Arg, Args, Ctx, ID, Mutation, Query, Resolver } from 'type-graphql';
import { ApiToken } from '../entities/api-token.js';
import type { Page } from '../page.js';
import { issueApiToken, listApiTokens, revokeApiToken } from '../people/api-tokens.js';
import { authorise } from '../schema/authorise.js';
import type { Context } from '../schema/context.js';
import { PageArguments } from '../schema/page-arguments.js';
import { ApiTokenPage } from '../schema/pages.js';
import { IssuedApiToken } from '../schema/people-inputs.js';

const ID_OF_USER = { description: 'The id of the user.' };

@Resolver(() => ApiToken)
export class ApiTokenResolver {
  @Query(() => ApiTokenPage, {
    description:
      'The API tokens of a user, the oldest first, the expired and revoked ones among them. Administrators only. ' +
      'Codes: FORBIDDEN, NOT_FOUND, BAD_USER_INPUT.',
  })
  async apiTokens(
    @Arg('userId', () => ID, ID_OF_USER) userId: string,
    @Args(() => PageArguments) page: PageArguments,
    @Ctx() context: Context,
  ): Promise<Page<ApiToken>> {
    await authorise(context, 'Query.apiTokens');
    return listApiTokens(context.services, userId, page);
  }

  @Mutation(() => IssuedApiToken, {
    description:
      'Issues a token for a user. It is shown this once. Administrators only. ' +
      'Codes: FORBIDDEN, NOT_FOUND, BAD_USER_INPUT, CONFLICT for a disabled user.',
  })
  async issueApiToken(
    @Arg('userId', () => ID, ID_OF_USER) userId: string,
    @Arg('name', () => String, { description: 'What it is for, 1 to 200 characters.' }) name: string,
    @Arg('expiresAt', () => GraphQLDateTime, {
      nullable: true,
      description: 'When it ends by itself, a moment in the future. Left out: never.',
    })
    expiresAt: Date | null | undefined,
    @Ctx() context: Context,
  ): Promise<IssuedApiToken> {
    const actor = await authorise(context, 'Mutation.issueApiToken');
    return issueApiToken(context.services, actor, { userId, name, expiresAt });
  }

  @Mutation(() => ApiToken, {
    description:
      'Ends a token for ever, and closes the sockets that it opened. Administrators only. Codes: FORBIDDEN, NOT_FOUND.',
  })
  async revokeApiToken(
    @Arg('id', () => ID, { description: 'The id of the token, not the token.' }) id: string,
    @Ctx() context: Context,
  ): Promise<ApiToken> {
    const actor = await authorise(context, 'Mutation.revokeApiToken');
    return revokeApiToken(context.services, actor, id);
  }
}
