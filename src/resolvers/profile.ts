import { Arg, Ctx, ID, Int, Mutation, Query, Resolver } from 'type-graphql';
import { ProfileAttribute } from '../entities/profile-attribute.js';
import { listAttributes } from '../profiles/attributes.js';
import { countProfiles } from '../profiles/count.js';
import { removeProfiles } from '../profiles/removal.js';
import { authorise } from '../schema/authorise.js';
import type { Context } from '../schema/context.js';

@Resolver()
export class ProfileResolver {
  @Query(() => Int, { description: 'How many profiles there are.' })
  async profileCount(@Ctx() context: Context): Promise<number> {
    await authorise(context, 'Query.profileCount');
    return countProfiles(context.services);
  }

  @Query(() => [ProfileAttribute], {
    description: 'Every attribute that profiles have, by name: what a mapping can refer to.',
  })
  async profileAttributes(@Ctx() context: Context): Promise<ProfileAttribute[]> {
    await authorise(context, 'Query.profileAttributes');
    return listAttributes(context.services);
  }

  @Mutation(() => Int, {
    description:
      'Removes profiles, here and from every segment; what destinations have of them stays there. ' +
      'Answers how many there were. Contributors and administrators. Codes: FORBIDDEN, BAD_USER_INPUT for more than 1,000 ids.',
  })
  async removeProfiles(
    @Arg('ids', () => [ID], { description: 'Ids of profiles, at most 1,000. Unknown ones are passed over.' })
    ids: string[],
    @Ctx() context: Context,
  ): Promise<number> {
    const actor = await authorise(context, 'Mutation.removeProfiles');
    return removeProfiles(context.services, actor, ids);
  }
}
