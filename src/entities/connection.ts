import { Field, ID, Int, ObjectType, registerEnumType } from 'type-graphql';
import { GraphQLDateTime } from 'graphql-scalars';
import { Column, Entity, PrimaryColumn } from 'typeorm';
import { moment, optionalMoment } from './columns.js';
import { Problem } from './problem.js';

export enum DestinationKind {
  ACTIVE_CAMPAIGN = 'ACTIVE_CAMPAIGN',
}
registerEnumType(DestinationKind, {
  name: 'DestinationKind',
  description: 'The marketing tool that receives the contacts.',
  valuesConfig: { ACTIVE_CAMPAIGN: { description: 'ActiveCampaign, through its API v3.' } },
});

export enum ConnectionSharing {
  ADMINISTRATORS = 'ADMINISTRATORS',
  ADMINISTRATORS_AND_CONTRIBUTORS = 'ADMINISTRATORS_AND_CONTRIBUTORS',
}
registerEnumType(ConnectionSharing, {
  name: 'ConnectionSharing',
  description: 'Who may use a connection for exports.',
  valuesConfig: {
    ADMINISTRATORS: { description: 'Administrators alone.' },
    ADMINISTRATORS_AND_CONTRIBUTORS: { description: 'Contributors too.' },
  },
});

export enum ConnectionState {
  DRAFT = 'DRAFT',
  CONNECTED = 'CONNECTED',
  FAILING = 'FAILING',
}
registerEnumType(ConnectionState, {
  name: 'ConnectionState',
  description: 'Whether the destination accepts the credentials.',
  valuesConfig: {
    DRAFT: { description: 'Not checked yet, or its host or key changed since.' },
    CONNECTED: { description: 'The last check went well.' },
    FAILING: { description: 'The last check, or a run, was refused; `problem` says why.' },
  },
});

@Entity('connections')
@ObjectType({
  description: 'Credentials of one destination account, with consent, sharing and an export user.',
})
export class Connection {
  @Field(() => ID, { description: 'Never changes.' })
  @PrimaryColumn('varchar')
  id!: string;

  @Field(() => String, { description: 'The name that people recognise it by.' })
  @Column('varchar')
  displayName!: string;

  @Field(() => DestinationKind, { description: 'The marketing tool that receives the contacts.' })
  @Column('varchar')
  kind!: DestinationKind;

  @Field(() => ConnectionSharing, { description: 'Who may use it for exports.' })
  @Column('varchar')
  sharing!: ConnectionSharing;

  @Field(() => ConnectionState, { description: 'Whether the destination accepts the credentials.' })
  @Column('varchar')
  state!: ConnectionState;

  @Field(() => String, { nullable: true, description: "The destination's host. Administrators only." })
  @Column('varchar')
  host!: string;

  /** The API key, sealed for this row and column; null: forgotten, because the host changed. */
  @Column('text', { nullable: true })
  sealedApiKey!: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'The last four characters of the API key. Administrators only; null while no key is stored.',
  })
  @Column('varchar', { nullable: true })
  apiKeyHint!: string | null;

  /** Grows with every change of host or key. A run notes it at its start and ends when it finds another. */
  @Column('integer')
  revision!: number;

  /** The destination account, as the last successful check found it: several hosts can be one account. */
  @Column('varchar', { nullable: true })
  account!: string | null;

  @Column('varchar', { nullable: true })
  exportUserId!: string | null;

  @Field(() => GraphQLDateTime, {
    nullable: true,
    description: 'When the credentials were last checked. Administrators only.',
  })
  @Column(optionalMoment)
  checkedAt!: Date | null;

  @Field(() => Problem, {
    nullable: true,
    description: 'Why it does not work, if it does not. Administrators only.',
  })
  @Column('simple-json', { nullable: true })
  problem!: Problem | null;

  @Field(() => Int, { description: 'Profiles per export that the contract allows, at most 1,000,000.' })
  @Column('integer')
  profileLimit!: number;

  @Field(() => GraphQLDateTime, { description: 'When it was made.' })
  @Column(moment)
  createdAt!: Date;

  @Field(() => GraphQLDateTime, { description: 'When somebody changed it last.' })
  @Column(moment)
  updatedAt!: Date;

  @Column('varchar', { nullable: true })
  updatedById!: string | null;
}
