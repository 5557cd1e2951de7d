import { Field, ObjectType } from 'type-graphql';
import type { ConsentStatement } from '../connections/consent-statements.js';

@ObjectType('ConsentStatement', {
  description: 'What an administrator agrees to before profiles may be sent through a connection.',
})
export class ConsentStatementType implements ConsentStatement {
  @Field(() => String, { description: 'Pass it to `giveConsent`, to say which text was read.' })
  version!: string;

  @Field(() => String, { description: 'The whole text; paragraphs are divided by an empty line.' })
  text!: string;
}
