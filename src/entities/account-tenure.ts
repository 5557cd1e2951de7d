import { Column, Entity, PrimaryColumn } from 'typeorm';

/** Which pump an account belongs to: each that begins raises the number, and the one before can do nothing any more. */
@Entity('account_tenures')
export class AccountTenure {
  @PrimaryColumn('varchar')
  account!: string;

  @Column('integer')
  tenure!: number;
}
