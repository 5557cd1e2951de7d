import { Field, InputType, Int } from 'type-graphql';
import { ConnectionSharing, DestinationKind } from '../entities/connection.js';

const NAME = 'The name that people recognise it by, 1 to 200 characters.';
const HOST =
  'The host name of the account, like `name.api-us1.com`. The API URL that the destination shows may be pasted whole; ' +
  'it is reduced to its host name.';
const API_KEY =
  'The key of a user of the account who may see its lists. Stored encrypted, never shown again.';
const PROFILE_LIMIT = 'Profiles per export that the contract allows, 1 to 1,000,000';

@InputType({ description: 'A new connection. Nothing is asked of the destination until `connect`.' })
export class CreateConnectionInput {
  @Field(() => DestinationKind, { description: 'The marketing tool that receives the contacts.' })
  kind!: DestinationKind;

  @Field(() => String, { description: NAME })
  displayName!: string;

  @Field(() => ConnectionSharing, {
    defaultValue: ConnectionSharing.ADMINISTRATORS,
    description: 'Who may use it for exports.',
  })
  sharing!: ConnectionSharing;

  @Field(() => String, { description: HOST })
  host!: string;

  @Field(() => String, { description: API_KEY })
  apiKey!: string;

  @Field(() => Int, { nullable: true, description: `${PROFILE_LIMIT}. Left out: 1,000,000.` })
  profileLimit?: number | null;
}

@InputType({ description: 'Changes to a connection. What is left out, or null, stays as it is.' })
export class UpdateConnectionInput {
  @Field(() => String, { nullable: true, description: NAME })
  displayName?: string | null;

  @Field(() => String, {
    nullable: true,
    description: `${HOST} Another host forgets the key and the consent, which were given for the old one.`,
  })
  host?: string | null;

  @Field(() => String, { nullable: true, description: API_KEY })
  apiKey?: string | null;

  @Field(() => Int, { nullable: true, description: `${PROFILE_LIMIT}.` })
  profileLimit?: number | null;
}
