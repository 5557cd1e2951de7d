import { ArgsType, Field, ID } from 'type-graphql';
import { PageArguments } from './page-arguments.js';

@ArgsType()
export class TriggerPageArguments extends PageArguments {
  @Field(() => ID, { nullable: true, description: 'Only triggers of this export.' })
  exportId?: string | null;
}
