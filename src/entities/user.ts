import { Field, ID, ObjectType, registerEnumType } from 'type-graphql';
import { GraphQLDateTime } from 'graphql-scalars';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { moment } from './columns.js';

/** What a user may do; each role includes the one before. */
export enum Role {
  VIEWER = 'VIEWER',
  CONTRIBUTOR = 'CONTRIBUTOR',
  ADMINISTRATOR = 'ADMINISTRATOR',
}
registerEnumType(Role, {
  name: 'Role',
  description: 'What a user may do. Each role includes the one before.',
  valuesConfig: {
    VIEWER: { description: 'Sees every export, run and segment; changes nothing.' },
    CONTRIBUTOR: {
      description:
        'Manages profiles and segments, and every export whose connection is shared with contributors.',
    },
    ADMINISTRATOR: { description: 'Everything.' },
  },
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
// Whoever signs in through an issuer is one user, however many requests come first at once.
@Index('users_subject', ['issuer', 'subject'], { unique: true })
@ObjectType({ description: 'Somebody, or a program, that may sign in.' })
export class User {
  @Field(() => ID, { description: 'Never changes.' })
  @PrimaryColumn('varchar')
  id!: string;

  @Field(() => String, { description: 'The name that others see.' })
  @Column('varchar')
  displayName!: string;

  @Field(() => String, {
    nullable: true,
    description:
      'An address to reach the user, if one is known. For administrators and the user; null for everybody else.',
  })
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

  /** The OpenID Connect issuer that vouches for the user and decides the role; null: the user has API tokens alone. */
  @Column('varchar', { nullable: true })
  issuer!: string | null;

  /** What the issuer calls the user (`sub`); its e-mail addresses may change hands, this does not. */
  @Column('varchar', { nullable: true })
  subject!: string | null;

  @Field(() => GraphQLDateTime, { description: 'When the user was made.' })
  @Column(moment)
  createdAt!: Date;
}
