import { Field, Int, ObjectType } from 'type-graphql';
import { Column, Entity, PrimaryColumn } from 'typeorm';

@Entity('profile_attributes')
@ObjectType({ description: 'An attribute that profiles have, as the imports named it.' })
export class ProfileAttribute {
  @Field(() => String, {
    description: 'The column or key it was imported from; mappings refer to it by this name.',
  })
  @PrimaryColumn('varchar')
  name!: string;

  @Field(() => Int, { description: 'How many profiles have a value with a visible character.' })
  @Column('integer')
  filled!: number;

  @Field(() => String, {
    nullable: true,
    description:
      'A value as an example; null while no value has a visible character. For contributors and administrators; null for viewers.',
  })
  @Column('varchar', { nullable: true })
  sample!: string | null;
}
