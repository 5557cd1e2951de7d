import { Column, Entity, Index, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';

/** What one export has delivered to one list of one account. Another list is another ledger: everybody is new there. */
@Entity('ledgers')
@Index('ledgers_export_account_list', ['exportId', 'account', 'listId'], { unique: true })
export class Ledger {
  @PrimaryGeneratedColumn('increment', { type: 'integer' })
  id!: number;

  @Column('varchar')
  exportId!: string;

  @Column('varchar')
  account!: string;

  @Column('varchar')
  listId!: string;
}

/** One contact in a ledger, known by its e-mail key: the address trimmed and in lower case, by JavaScript, never by SQL. */
@Entity('ledger_entries', { withoutRowid: true })
export class LedgerEntry {
  @PrimaryColumn('integer')
  ledgerId!: number;

  @PrimaryColumn('varchar')
  emailKey!: string;

  /** The profile that the present values come from. */
  @Column('varchar')
  profileId!: string;

  /** The number of the run that still has to decide this entry; null: decided. */
  @Column('integer', { nullable: true })
  plannedRun!: number | null;

  /** What the last run wanted: a JSON array of e-mail, first name, last name, phone. */
  @Column('text')
  wanted!: string;

  /** What the destination confirmed last, in the form of `wanted`; null: nothing yet. */
  @Column('text', { nullable: true })
  delivered!: string | null;

  /**
   * Something was sent since whose outcome is not known to be what `delivered` says: nobody relies on `delivered` until
   * the destination has confirmed the contact again.
   */
  @Column('boolean')
  doubtful!: boolean;

  /** Which optional fields were ever sent non-empty (1 first name, 2 last name, 4 phone): empty now, they are cleared. */
  @Column('integer')
  everSent!: number;
}

/** A member on its way into the ledger: sorted within its chunk, so that the ledger can be written in key order. */
@Entity('staged_members', { withoutRowid: true })
export class StagedMember {
  @PrimaryColumn('integer')
  ledgerId!: number;

  @PrimaryColumn('integer')
  chunk!: number;

  @PrimaryColumn('varchar')
  emailKey!: string;

  @PrimaryColumn('varchar')
  profileId!: string;

  @Column('text')
  wanted!: string;
}
