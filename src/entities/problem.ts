import { Field, ObjectType } from 'type-graphql';

/** Why something does not work, told to the person who can mend it. */
@ObjectType({ description: 'Why something does not work, and what to do about it.' })
export class Problem {
  @Field(() => String, { description: 'Stable, for programs.' })
  code!: string;

  @Field(() => String, { description: 'What happened, in a sentence or two.' })
  message!: string;

  @Field(() => String, { nullable: true, description: 'What to do, in one sentence.' })
  remedy?: string | null;
}
