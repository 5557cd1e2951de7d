import { Field, ID, ObjectType, registerEnumType } from 'type-graphql';
import { GraphQLDateTime } from 'graphql-scalars';
import { Column, Entity, PrimaryColumn } from 'typeorm';
import { moment } from './columns.js';

/** What a user may do; each role includes the one before. */
export enum Role {
  ADMINISTRATOR = 'ADMINISTRATOR',
}
registerEnumType(Role, {
  name: 'Role',
  description: 'What a user may do.',
  valuesConfig: { ADMINISTRATOR: { description: 'Everything.' } },
});

export enum PrincipalKind {
  PERSON = 'PERSON',
  APPLICATION = 'APPLICATION',
}
registerEnumType(PrincipalKind, {
  name: 'PrincipalKind',
  description: 'Who signs in.',
  valuesConfig: {
    PERSON: { description: 'A human being.' },
    APPLICATION: { description: 'A program that calls the API by itself.' },
  },
});

@Entity('users')
@ObjectType({ description: 'Somebody, or a program, that may sign in.' })
export class User {
  @Field(() => ID, { description: 'Never changes.' })
  @PrimaryColumn('varchar')
  id!: string;

  @Field(() => String, { description: 'The name that others see.' })
  @Column('varchar')
  displayName!: string;

  @Field(() => String, { nullable: true, description: 'An address to reach the user, if one is known.' })
  @Column('varchar', { nullable: true })
  email!: string | null;

  @Field(() => PrincipalKind, { description: 'A person or a program.' })
  @Column('varchar')
  kind!: PrincipalKind;

  @Field(() => Role, { description: 'What the user may do.' })
  @Column('varchar')
  role!: Role;

  @Field(() => Boolean, { description: 'A disabled user cannot sign in.' })
  @Column('boolean')
  disabled!: boolean;

  @Field(() => GraphQLDateTime, { description: 'When the user was made.' })
  @Column(moment)
  createdAt!: Date;
}
