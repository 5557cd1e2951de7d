import { Field, ID, ObjectType, registerEnumType } from 'type-graphql';
import { Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';

export enum RejectionReason {
  MISSING_EMAIL = 'MISSING_EMAIL',
  INVALID_EMAIL = 'INVALID_EMAIL',
  DUPLICATE_EMAIL = 'DUPLICATE_EMAIL',
  REFUSED_BY_DESTINATION = 'REFUSED_BY_DESTINATION',
  OPTED_OUT = 'OPTED_OUT',
  UNCONFIRMED = 'UNCONFIRMED',
}
registerEnumType(RejectionReason, {
  name: 'RejectionReason',
  description: 'Why a person did not arrive. The first three are known before anything is sent.',
  valuesConfig: {
    MISSING_EMAIL: { description: 'The mapped e-mail attribute is empty.' },
    INVALID_EMAIL: {
      description:
        'The destination would refuse the address, or a character in it cannot be seen (the detail names it); not sent.',
    },
    DUPLICATE_EMAIL: {
      description: 'Another profile with the same address, the first by id, is sent instead.',
    },
    REFUSED_BY_DESTINATION: { description: 'Sent, and refused; `detail` tells the known possible reasons.' },
    OPTED_OUT: {
      description:
        'The person, or nobody knows who, took an address of theirs off the list. Opt-outs are never overridden.',
    },
    UNCONFIRMED: {
      description: 'Accepted or possibly accepted by the destination; the outcome is not known.',
    },
  },
});

/** A person of a run that did not arrive. Kept as long as the run. */
@Entity('rejections')
@Index('rejections_run', ['runId', 'id'])
@ObjectType({ description: 'A person that a run did not deliver, and why.' })
export class Rejection {
  @PrimaryGeneratedColumn('increment', { type: 'integer' })
  id!: number;

  @Column('varchar')
  runId!: string;

  @Field(() => ID, {
    nullable: true,
    description:
      'The id of the profile, as the import gave it. For contributors and administrators; null for viewers if it may be a value of ' +
      'the profile: if it has other characters than ASCII letters, digits, hyphens and underscores, or no digit.',
  })
  @Column('varchar')
  profileId!: string;

  @Field(() => String, {
    nullable: true,
    description: 'The address as the profile has it. For contributors and administrators; null for viewers.',
  })
  @Column('varchar', { nullable: true })
  email!: string | null;

  @Field(() => RejectionReason, { description: 'Why the person did not arrive.' })
  @Column('varchar')
  reason!: RejectionReason;

  @Field(() => String, {
    nullable: true,
    description:
      'What is known besides, for the person who mends it. For contributors and administrators; null for viewers.',
  })
  @Column('varchar', { nullable: true })
  detail!: string | null;
}
