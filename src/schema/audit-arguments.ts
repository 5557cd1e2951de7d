import { GraphQLDateTime } from 'graphql-scalars';
import { ArgsType, Field, ID } from 'type-graphql';
import type { AuditFilter } from '../audit/list-events.js';
import { PageArguments } from './page-arguments.js';

@ArgsType()
export class AuditEventArguments extends PageArguments implements AuditFilter {
  @Field(() => ID, { nullable: true, description: 'Only what this user did.' })
  actorId?: string | null;

  @Field(() => String, { nullable: true, description: 'Only what was asked for by this name.' })
  action?: string | null;

  @Field(() => String, { nullable: true, description: 'Only what was done to things of this kind.' })
  subjectType?: string | null;

  @Field(() => ID, { nullable: true, description: 'Only what was done to this thing.' })
  subjectId?: string | null;

  @Field(() => GraphQLDateTime, { nullable: true, description: 'Only what happened then or later.' })
  from?: Date | null;

  @Field(() => GraphQLDateTime, { nullable: true, description: 'Only what happened before then.' })
  to?: Date | null;
}
