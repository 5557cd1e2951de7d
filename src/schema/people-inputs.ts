import { Field, InputType, ObjectType } from 'type-graphql';
import { ApiToken } from '../entities/api-token.js';
import { PrincipalKind, Role } from '../entities/user.js';

@InputType({ description: 'A new user. Nobody signs in as them until a token is issued (issueApiToken).' })
export class CreateUserInput {
  @Field(() => String, { description: 'The name that others see, 1 to 200 characters.' })
  displayName!: string;

  @Field(() => String, { nullable: true, description: 'An address to reach the user.' })
  email?: string | null;

  @Field(() => PrincipalKind, { defaultValue: PrincipalKind.PERSON, description: 'A person or a program.' })
  kind!: PrincipalKind;

  @Field(() => Role, { description: 'What the user may do.' })
  role!: Role;
}

@ObjectType({ description: 'A token that was issued a moment ago.' })
export class IssuedApiToken {
  @Field(() => ApiToken, { description: 'What is kept of it.' })
  apiToken!: ApiToken;

  @Field(() => String, { description: 'The token itself. It is shown this once and not kept.' })
  token!: string;
}
