import { Arg, Args, Ctx, ID, Mutation, Query, Resolver } from 'type-graphql';
import { Role, User } from '../entities/user.js';
import type { Page } from '../page.js';
import { createUser, listUsers, setUserDisabled, setUserRole } from '../people/users.js';
import { authorise } from '../schema/authorise.js';
import type { Context } from '../schema/context.js';
import { PageArguments } from '../schema/page-arguments.js';
import { UserPage } from '../schema/pages.js';
import { CreateUserInput } from '../schema/people-inputs.js';

const ID_OF_USER = { description: 'The id of the user.' };

@Resolver(() => User)
export class UserResolver {
  @Query(() => User, {
    description: 'The user whose token the request carries. Anybody who is signed in may ask.',
  })
  async me(@Ctx() context: Context): Promise<User> {
    await authorise(context, 'Query.me');
    return context.user;
  }

  @Query(() => UserPage, {
    description:
      'Everybody who may sign in, the oldest first. Administrators only. Codes: FORBIDDEN, BAD_USER_INPUT.',
  })
  async users(@Args(() => PageArguments) page: PageArguments, @Ctx() context: Context): Promise<Page<User>> {
    await authorise(context, 'Query.users');
    return listUsers(context.services, page);
  }

  @Mutation(() => User, {
    description: 'Makes a user. Administrators only. Codes: FORBIDDEN, BAD_USER_INPUT.',
  })
  async createUser(
    @Arg('input', () => CreateUserInput, { description: 'The new user.' }) input: CreateUserInput,
    @Ctx() context: Context,
  ): Promise<User> {
    const actor = await authorise(context, 'Mutation.createUser');
    return createUser(context.services, actor, input);
  }

  @Mutation(() => User, {
    description:
      "Gives a user another role; the user's open sockets are closed. Administrators only. Codes: FORBIDDEN, NOT_FOUND, " +
      'CONFLICT for the last administrator, and for a user whose role comes from the OpenID Connect issuer.',
  })
  async setUserRole(
    @Arg('userId', () => ID, ID_OF_USER) userId: string,
    @Arg('role', () => Role, { description: 'What the user may do from now on.' }) role: Role,
    @Ctx() context: Context,
  ): Promise<User> {
    const actor = await authorise(context, 'Mutation.setUserRole');
    return setUserRole(context.services, actor, userId, role);
  }

  @Mutation(() => User, {
    description:
      "Keeps a user out, or lets them in again; the user's open sockets are closed. Runs in the name of a disabled user " +
      'end. Administrators only. Codes: FORBIDDEN, NOT_FOUND, CONFLICT for the last administrator.',
  })
  async setUserDisabled(
    @Arg('userId', () => ID, ID_OF_USER) userId: string,
    @Arg('disabled', () => Boolean, { description: 'true: keep out; false: let in.' }) disabled: boolean,
    @Ctx() context: Context,
  ): Promise<User> {
    const actor = await authorise(context, 'Mutation.setUserDisabled');
    return setUserDisabled(context.services, actor, userId, disabled);
  }
}
