import { MaxLength } from 'class-validator';
import { ArgsType, Field, ID } from 'type-graphql';
import { ExportRunState } from '../entities/export-run.js';
import { RejectionReason } from '../entities/rejection.js';
import { PageArguments } from './page-arguments.js';

@ArgsType()
export class ExportPageArguments extends PageArguments {
  @MaxLength(200)
  @Field(() => String, {
    nullable: true,
    description:
      'Only exports with this text in their name, in the kind of their connection, or in its name if the caller may use it, ' +
      'in any case. Up to 200 characters.',
  })
  search?: string | null;
}

@ArgsType()
export class RunPageArguments extends PageArguments {
  @Field(() => ExportRunState, { nullable: true, description: 'Only runs in this state.' })
  state?: ExportRunState | null;
}

@ArgsType()
export class RejectionPageArguments extends PageArguments {
  @Field(() => RejectionReason, { nullable: true, description: 'Only people with this reason.' })
  reason?: RejectionReason | null;
}

@ArgsType()
export class RunChangedArguments {
  @Field(() => ID, { nullable: true, description: 'Only this run; the stream ends after its final state.' })
  runId?: string | null;

  @Field(() => ID, { nullable: true, description: 'Only runs of this export.' })
  exportId?: string | null;
}
