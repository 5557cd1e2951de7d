import { ArgsType, Field, Int } from 'type-graphql';
import { PageArguments } from './page-arguments.js';

/** A page of the usual length would cost too much: each row has a list of steps, and each step a run. */
const DEFAULT_REFRESHES = 10;

@ArgsType()
export class RefreshArguments extends PageArguments {
  @Field(() => Int, {
    nullable: true,
    defaultValue: DEFAULT_REFRESHES,
    description: 'How many rows to answer, 1 to 100. Fewer than elsewhere by default, as each has its steps.',
  })
  override first?: number | null;
}
