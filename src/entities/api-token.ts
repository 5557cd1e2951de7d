import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { moment, optionalMoment } from './columns.js';

/** Lets its bearer in as a user. Only the SHA-256 of the token is kept. */
@Entity('api_tokens')
export class ApiToken {
  @PrimaryColumn('varchar')
  id!: string;

  @Column('varchar')
  userId!: string;

  @Column('varchar')
  name!: string;

  /** The last four characters, to tell tokens apart. */
  @Column('varchar')
  hint!: string;

  /** SHA-256 of the token, hexadecimal. */
  @Index('api_tokens_hash', { unique: true })
  @Column('varchar')
  hash!: string;

  @Column(moment)
  createdAt!: Date;

  @Column(optionalMoment)
  lastUsedAt!: Date | null;
}
