import { Field, ObjectType } from 'type-graphql';
import { GraphQLDateTime } from 'graphql-scalars';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { moment, optionalMoment } from './columns.js';

/** The recorded act of agreeing to the privacy statement for one connection. Rows are only ever withdrawn. */
@Entity('consents')
// At most one is in force for a connection, however many administrators click at once.
@Index('consents_in_force', ['connectionId'], { unique: true, where: '"withdrawnAt" IS NULL' })
@ObjectType({ description: 'An administrator agreed to the privacy statement for a connection.' })
export class Consent {
  @PrimaryColumn('varchar')
  id!: string;

  @Column('varchar')
  connectionId!: string;

  @Field(() => String, { description: 'The text that was agreed to, word for word.' })
  @Column('text')
  statement!: string;

  @Field(() => String, { description: 'The version of that text.' })
  @Column('varchar')
  statementVersion!: string;

  @Field(() => GraphQLDateTime, { description: 'When it was agreed to.' })
  @Column(moment)
  acceptedAt!: Date;

  @Column('varchar')
  acceptedById!: string;

  /** When this server first had a newer statement; the consent then ends with the days of grace. */
  @Column(optionalMoment)
  supersededAt!: Date | null;

  @Column(optionalMoment)
  withdrawnAt!: Date | null;

  @Column('varchar', { nullable: true })
  withdrawnById!: string | null;
}
