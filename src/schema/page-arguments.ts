import { ArgsType, Field, Int } from 'type-graphql';
import type { PageRequest } from '../page.js';

/** The arguments of every list. */
@ArgsType()
export class PageArguments implements PageRequest {
  @Field(() => Int, { nullable: true, description: 'How many rows to answer, 1 to 100. Left out: 50.' })
  first?: number | null;

  @Field(() => String, {
    nullable: true,
    description: 'The `endCursor` of the page before. Left out: from the start.',
  })
  after?: string | null;
}
