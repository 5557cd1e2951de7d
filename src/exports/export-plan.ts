import { Field, Float, Int, ObjectType } from 'type-graphql';
import { Problem } from '../entities/problem.js';
import { RejectionReason } from '../entities/rejection.js';

@ObjectType({ description: 'How many members would not be sent for one reason.' })
export class SkippedMembers {
  @Field(() => RejectionReason, { description: 'MISSING_EMAIL, INVALID_EMAIL or DUPLICATE_EMAIL.' })
  reason!: RejectionReason;

  @Field(() => Int, { description: 'How many there are.' })
  count!: number;
}

@ObjectType({
  description: 'What a run of an export would do if it began now. Nothing was sent to find that out.',
})
export class ExportPlan {
  @Field(() => Int, { description: 'Profiles in the union of the segments.' })
  members!: number;

  @Field(() => [SkippedMembers], { description: 'Members without a usable address, by reason; all three.' })
  skipped!: SkippedMembers[];

  @Field(() => Int, { description: 'Members who were never delivered to this list.' })
  new!: number;

  @Field(() => Int, {
    description:
      'Of `new`, the people whose address has changed and whose former address stays on the list, because the export or ' +
      'another one keeps it. They are on the list under both addresses.',
  })
  keptFormerAddresses!: number;

  @Field(() => Int, { description: 'Members whose contact differs from what was delivered, or is in doubt.' })
  changed!: number;

  @Field(() => Int, { description: 'Members who are at the destination as they should be.' })
  unchanged!: number;

  @Field(() => Int, { description: 'Contacts that would be taken off the list.' })
  leavers!: number;

  @Field(() => Int, {
    description:
      'Members whom this or another export had taken off the list. The destination is asked first, three calls for each.',
  })
  returning!: number;

  @Field(() => Int, {
    description: 'People whom the destination refused not long ago: they are not tried again yet.',
  })
  refused!: number;

  @Field(() => Int, { description: 'Batches that would be sent.' })
  importerCalls!: number;

  @Field(() => Int, {
    description:
      'Calls besides: about the list, about the outcome of batches (one for each; slow ones cost more), and about people who return or have a new address.',
  })
  otherCalls!: number;

  @Field(() => Float, { description: 'How long it would take at the pace that the destination allows.' })
  expectedMinutes!: number;

  @Field(() => Int, {
    nullable: true,
    description: 'The most contacts that the account may hold. Null: no limit, or the key may not read it.',
  })
  accountLimit!: number | null;

  @Field(() => Int, {
    nullable: true,
    description: 'The contacts that the account holds now. Null: the key may not read it.',
  })
  accountContacts!: number | null;

  @Field(() => Problem, {
    nullable: true,
    description: 'Why the run would be SKIPPED or HELD, or could not begin. Null: it would go on by itself.',
  })
  problem!: Problem | null;
}
