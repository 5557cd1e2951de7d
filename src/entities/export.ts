import { Field, ID, Int, ObjectType, registerEnumType } from 'type-graphql';
import { GraphQLDateTime } from 'graphql-scalars';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { moment } from './columns.js';

export enum LeaverPolicy {
  KEEP = 'KEEP',
  UNSUBSCRIBE = 'UNSUBSCRIBE',
}
registerEnumType(LeaverPolicy, {
  name: 'LeaverPolicy',
  description: 'What becomes of contacts that an earlier run delivered and that are no members now.',
  valuesConfig: {
    KEEP: {
      description:
        'They stay on the list. A person whose address has changed is then on the list under both addresses.',
    },
    UNSUBSCRIBE: {
      description:
        'They are taken off the list, unless another export to the same list wants them or keeps them.',
    },
  },
});

@ObjectType({
  description: "Which profile attributes fill the contact's fields. All are names of attributes.",
})
export class Mapping {
  @Field(() => String, { description: 'Required: a contact is known by its e-mail address.' })
  email!: string;

  @Field(() => String, { nullable: true, description: 'The attribute for the first name. Null: not sent.' })
  firstName?: string | null;

  @Field(() => String, { nullable: true, description: 'The attribute for the last name. Null: not sent.' })
  lastName?: string | null;

  @Field(() => String, { nullable: true, description: 'The attribute for the phone number. Null: not sent.' })
  phone?: string | null;
}

@ObjectType({ description: 'A list at the destination.' })
export class DestinationList {
  @Field(() => ID, { description: 'As the destination knows it.' })
  id!: string;

  @Field(() => String, { description: 'As the destination names it.' })
  name!: string;
}

@Entity('exports')
@ObjectType({ description: 'Segments that are sent to a list at the destination, through one connection.' })
export class Export {
  @Field(() => ID, { description: 'Never changes.' })
  @PrimaryColumn('varchar')
  id!: string;

  @Field(() => String, { description: 'The name that people recognise it by.' })
  @Column('varchar')
  name!: string;

  /** Null: detached. */
  @Index('exports_connection')
  @Column('varchar', { nullable: true })
  connectionId!: string | null;

  @Field(() => DestinationList, {
    description: 'The list that receives the contacts, with its name when it was chosen.',
  })
  @Column('simple-json')
  list!: DestinationList;

  /** The account that the list belongs to. */
  @Column('varchar')
  account!: string;

  @Field(() => Mapping, { description: 'What is sent of each profile.' })
  @Column('simple-json')
  mapping!: Mapping;

  @Field(() => LeaverPolicy, { description: 'What becomes of contacts that are no members any more.' })
  @Column('varchar')
  leavers!: LeaverPolicy;

  @Field(() => Int, {
    description:
      'A run that would take more than this share of the delivered contacts off the list, in percent, or all of them, is HELD until somebody approves it.',
  })
  @Column('integer')
  leaverHoldPercent!: number;

  @Field(() => Boolean, {
    description: 'Whether the destination starts its automations for the contacts sent.',
  })
  @Column('boolean')
  runAutomations!: boolean;

  @Field(() => GraphQLDateTime, { description: 'When it was made.' })
  @Column(moment)
  createdAt!: Date;

  @Field(() => GraphQLDateTime, { description: 'When somebody changed it last.' })
  @Column(moment)
  updatedAt!: Date;

  @Column('varchar', { nullable: true })
  updatedById!: string | null;
}

@Entity('export_segments')
export class ExportSegment {
  @PrimaryColumn('varchar')
  exportId!: string;

  @Index('export_segments_segment')
  @PrimaryColumn('varchar')
  segmentId!: string;
}
