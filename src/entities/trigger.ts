import { Field, ID, ObjectType, registerEnumType } from 'type-graphql';
import { GraphQLDateTime } from 'graphql-scalars';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { moment, optionalMoment } from './columns.js';

export enum TriggerAuthentication {
  SIGNATURE = 'SIGNATURE',
  BEARER = 'BEARER',
}
registerEnumType(TriggerAuthentication, {
  name: 'TriggerAuthentication',
  description: 'How a caller shows that it knows the secret of a trigger.',
  valuesConfig: {
    SIGNATURE: {
      description:
        'It signs every call by Standard Webhooks (standardwebhooks.com); the secret is never sent.',
    },
    BEARER: {
      description:
        'It sends the secret: `Authorization: Bearer whsec_…`. For callers that cannot sign; over TLS alone.',
    },
  },
});

@ObjectType({ description: 'An address that starts runs of an export for whoever knows its secret.' })
@Entity('triggers')
export class Trigger {
  @Field(() => ID, { description: 'Never changes.' })
  @PrimaryColumn('varchar')
  id!: string;

  @Index('triggers_export')
  @Column('varchar')
  exportId!: string;

  @Field(() => String, { description: 'The name that people recognise it by.' })
  @Column('varchar')
  name!: string;

  @Field(() => TriggerAuthentication, { description: 'How callers show that they know the secret.' })
  @Column('varchar')
  authentication!: TriggerAuthentication;

  @Field(() => Boolean, { description: 'A disabled one answers as if it did not exist.' })
  @Column('boolean')
  enabled!: boolean;

  /** SIGNATURE: sealed. BEARER: the hash, as of a token. */
  @Column('text')
  secret!: string;

  /** The secret before the last rotation, in the same form. */
  @Column('text', { nullable: true })
  previousSecret!: string | null;

  /** Until when the previous one works too. */
  @Column(optionalMoment)
  previousUntil!: Date | null;

  @Field(() => GraphQLDateTime, {
    nullable: true,
    description: 'When a call of it was last taken, a repetition too. Null: never.',
  })
  @Column(optionalMoment)
  lastCalledAt!: Date | null;

  @Field(() => GraphQLDateTime, { description: 'When it was made.' })
  @Column(moment)
  createdAt!: Date;
}

/** A call that was answered with a run, remembered so that the same call again gets the same run. */
@Entity('trigger_calls')
export class TriggerCall {
  @PrimaryColumn('varchar')
  triggerId!: string;

  /** The caller's name for it: the same in every repetition. */
  @PrimaryColumn('varchar')
  webhookId!: string;

  @Column('varchar')
  bodyHash!: string;

  @Column('varchar')
  runId!: string;

  @Index('trigger_calls_received')
  @Column(moment)
  receivedAt!: Date;
}
