import { Ctx, Query, Resolver } from 'type-graphql';
import { User } from '../entities/user.js';
import { authorise, type Context } from '../schema/context.js';

@Resolver(() => User)
export class UserResolver {
  @Query(() => User, {
    description: 'The user whose token the request carries. Anybody who is signed in may ask.',
  })
  me(@Ctx() context: Context): User {
    return authorise(context);
  }
}
