import { Column, Entity, PrimaryColumn } from 'typeorm';

/**
 * Which process may make the next call of a caller to an account, where there are several: see connections/call-slots.ts.
 */
@Entity('account_calls')
export class AccountCall {
  /** An account, or a host whose account is not known yet. */
  @PrimaryColumn('varchar')
  place!: string;

  /** Names the reservation, so that nobody ends somebody else's. */
  @Column('varchar')
  holder!: string;

  /** When the next reservation may be made, in ms since 1970 by the clock of the database. */
  @Column('bigint')
  freeAt!: string;
}
