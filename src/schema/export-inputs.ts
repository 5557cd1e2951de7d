import { MaxLength, ValidateNested } from 'class-validator';
import { Field, ID, InputType, Int } from 'type-graphql';
import { LeaverPolicy } from '../entities/export.js';

const NAME = 'The name that people recognise it by, 1 to 200 characters.';
const LIST = 'A list of the account, as `destinationLists` answers it.';
const SEGMENTS = 'The segments whose members are sent, each person once. At least one.';
const AUTOMATIONS = 'Whether the destination starts its automations for the contacts sent.';
const LEAVERS = 'What becomes of contacts that an earlier run delivered and that are no members now.';
const HOLD_PERCENT =
  'A run that would take more than this share of the delivered contacts off the list, in percent, or all of them, is ' +
  'HELD until somebody approves it (approveExportRun). 0 holds every run that takes somebody off, 100 only those that ' +
  'take everybody.';
/** No attribute has a longer name. */
const MAX_ATTRIBUTE_LENGTH = 200;
const EMPTY = 'Left out, or null: the field is not sent.';

@InputType({
  description:
    "Which profile attributes fill the contact's fields. `profileAttributes` lists the names. Spaces and line breaks " +
    'around a value are not sent; everything else of it is, as it was imported.',
})
export class MappingInput {
  @MaxLength(MAX_ATTRIBUTE_LENGTH)
  @Field(() => String, { description: 'The attribute that holds the e-mail address.' })
  email!: string;

  @MaxLength(MAX_ATTRIBUTE_LENGTH)
  @Field(() => String, { nullable: true, description: `The attribute that holds the first name. ${EMPTY}` })
  firstName?: string | null;

  @MaxLength(MAX_ATTRIBUTE_LENGTH)
  @Field(() => String, { nullable: true, description: `The attribute that holds the last name. ${EMPTY}` })
  lastName?: string | null;

  @MaxLength(MAX_ATTRIBUTE_LENGTH)
  @Field(() => String, { nullable: true, description: `The attribute that holds the phone number. ${EMPTY}` })
  phone?: string | null;
}

@InputType({ description: 'A new export.' })
export class CreateExportInput {
  @Field(() => String, { description: NAME })
  name!: string;

  @Field(() => ID, { description: 'The connection to send through. It must be CONNECTED.' })
  connectionId!: string;

  @Field(() => ID, { description: LIST })
  listId!: string;

  @Field(() => [ID], { description: SEGMENTS })
  segmentIds!: string[];

  @ValidateNested()
  @Field(() => MappingInput, { description: 'What is sent of each profile.' })
  mapping!: MappingInput;

  @Field(() => LeaverPolicy, { defaultValue: LeaverPolicy.KEEP, description: LEAVERS })
  leavers!: LeaverPolicy;

  @Field(() => Int, { defaultValue: 20, description: HOLD_PERCENT })
  leaverHoldPercent!: number;

  @Field(() => Boolean, { defaultValue: true, description: AUTOMATIONS })
  runAutomations!: boolean;
}

@InputType({ description: 'Changes to an export. What is left out, or null, stays as it is.' })
export class UpdateExportInput {
  @Field(() => String, { nullable: true, description: NAME })
  name?: string | null;

  @Field(() => ID, {
    nullable: true,
    description: `${LIST} Everybody is new to another list; the old one is left alone.`,
  })
  listId?: string | null;

  @Field(() => [ID], { nullable: true, description: SEGMENTS })
  segmentIds?: string[] | null;

  @ValidateNested()
  @Field(() => MappingInput, {
    nullable: true,
    description: 'What is sent of each profile; replaces the whole mapping.',
  })
  mapping?: MappingInput | null;

  @Field(() => LeaverPolicy, { nullable: true, description: LEAVERS })
  leavers?: LeaverPolicy | null;

  @Field(() => Int, { nullable: true, description: HOLD_PERCENT })
  leaverHoldPercent?: number | null;

  @Field(() => Boolean, { nullable: true, description: AUTOMATIONS })
  runAutomations?: boolean | null;
}
