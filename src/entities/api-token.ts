import { GraphQLDateTime } from 'graphql-scalars';
import { Field, ID, ObjectType } from 'type-graphql';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { moment, optionalMoment } from './columns.js';

/** Lets its bearer in as a user. Only the SHA-256 of the token is kept. */
@Entity('api_tokens')
@ObjectType({
  description: 'Lets whoever bears it in as a user. The token itself is shown once and not kept.',
})
export class ApiToken {
  @Field(() => ID, { description: 'Never changes.' })
  @PrimaryColumn('varchar')
  id!: string;

  @Index('api_tokens_user')
  @Column('varchar')
  userId!: string;

  @Field(() => String, { description: 'What it is for.' })
  @Column('varchar')
  name!: string;

  @Field(() => String, { description: 'The last four characters, to tell tokens apart.' })
  @Column('varchar')
  hint!: string;

  /** SHA-256 of the token, hexadecimal. */
  @Index('api_tokens_hash', { unique: true })
  @Column('varchar')
  hash!: string;

  @Field(() => GraphQLDateTime, { nullable: true, description: 'When it ends by itself. Null: never.' })
  @Column(optionalMoment)
  expiresAt!: Date | null;

  @Field(() => GraphQLDateTime, {
    nullable: true,
    description: 'When it was last used, to the minute. Null: never.',
  })
  @Column(optionalMoment)
  lastUsedAt!: Date | null;

  @Field(() => GraphQLDateTime, { nullable: true, description: 'When it was revoked. Null: it was not.' })
  @Column(optionalMoment)
  revokedAt!: Date | null;

  @Field(() => GraphQLDateTime, { description: 'When it was issued.' })
  @Column(moment)
  createdAt!: Date;
}
