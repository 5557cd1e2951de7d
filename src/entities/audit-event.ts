import { Field, ID, ObjectType } from 'type-graphql';
import { GraphQLDateTime, GraphQLJSONObject } from 'graphql-scalars';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { moment } from './columns.js';

/** Who did what to what, and what came of it. Triggers of the database refuse every change, and early deletions. */
@Entity('audit_events')
@ObjectType({ description: 'Who did what to what, and what came of it. Never changed.' })
export class AuditEvent {
  @Field(() => ID, { description: 'Later events have greater ids.' })
  @PrimaryColumn('varchar')
  id!: string;

  @Field(() => GraphQLDateTime, { description: 'When it happened.' })
  @Index('audit_events_at')
  @Column(moment)
  at!: Date;

  /** Null: nobody who is known, or the server itself. */
  @Index('audit_events_actor')
  @Column('varchar', { nullable: true })
  actorId!: string | null;

  @Field(() => String, {
    description:
      'What was asked for: the name of the mutation; importProfiles; signIn for a refused one; callTrigger, taken or refused. What the ' +
      'server does by itself has names too: userFromIssuer, connectionState, lapseConsent.',
  })
  @Index('audit_events_action')
  @Column('varchar')
  action!: string;

  @Field(() => String, {
    description: 'The kind of thing it was done to, as the schema names it, like `Connection`.',
  })
  @Column('varchar')
  subjectType!: string;

  @Field(() => ID, { description: 'The id of that thing. `-`: none, or none that is known.' })
  @Index('audit_events_subject')
  @Column('varchar')
  subjectId!: string;

  @Field(() => String, {
    description: 'OK, or the code of the error that refused it; STARTED for an import that begins.',
  })
  @Column('varchar')
  result!: string;

  @Field(() => GraphQLJSONObject, {
    nullable: true,
    description:
      '`changes` holds the fields that changed, each with its `old` and `new` value; secrets are `***`. What else is known ' +
      'of the event stands beside it.',
  })
  @Column('simple-json', { nullable: true })
  detail!: Record<string, unknown> | null;

  @Field(() => String, { nullable: true, description: 'The network address that the request came from.' })
  @Column('varchar', { nullable: true })
  clientAddress!: string | null;
}

/** How long the trigger keeps events: the setting, where the database can see it. */
@Entity('audit_retention')
export class AuditRetention {
  @PrimaryColumn('integer')
  id!: number;

  @Column('integer')
  days!: number;
}
