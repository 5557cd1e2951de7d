import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A profile's attributes: names and text values. An empty value is kept as an empty string. */
export type Attributes = Record<string, string>;

/** One unified customer. Ids are ordered by the bytes of UTF-8. */
@Entity('profiles', { withoutRowid: true })
export class Profile {
  @PrimaryColumn('varchar')
  id!: string;

  @Column('simple-json')
  attributes!: Attributes;
}
