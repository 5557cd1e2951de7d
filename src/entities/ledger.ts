import { Column, Entity, Index, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';

/** What one export has delivered to one list of one account. Another list is another ledger: everybody is new there. */
@Entity('ledgers')
@Index('ledgers_export_account_list', ['exportId', 'account', 'listId'], { unique: true })
@Index('ledgers_account_list', ['account', 'listId'])
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

/**
 * What a run does about a contact. PUT: its values are sent, and it is put on the list. REMOVE: it is taken off the list.
 * CHECK: the destination is asked first whether that would override somebody's own choice. PUT_CHECKED: it was asked,
 * and the values may go.
 */
export enum LedgerTask {
  PUT = 1,
  REMOVE = 2,
  CHECK = 3,
  PUT_CHECKED = 4,
}

/** Where the contact stands as far as this export knows: never confirmed, confirmed on the list, or taken off by us. */
export enum Standing {
  NEVER_DELIVERED = 0,
  ON_LIST = 1,
  REMOVED = 2,
}

/**
 * Stands in `delivered` for the same text as in `wanted`. A row that grew when it is confirmed would have no room in its
 * page, which is full: each would be split, and written twice.
 */
export const AS_WANTED = '=';

/** In doubt, and there is no batch that could still tell. */
export const DOUBT_FOR_GOOD = 0;

/** One contact in a ledger, known by its e-mail key (see src/email-address.ts). */
@Entity('ledger_entries', { withoutRowid: true })
@Index('ledger_entries_removals', ['ledgerId', 'emailKey'], { where: '"removals" IS NOT NULL' })
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

  /** What the last run that planned it was to do. */
  @Column('integer')
  task!: LedgerTask;

  /** What the last run wanted: a JSON array of e-mail, first name, last name, phone. */
  @Column('text')
  wanted!: string;

  /** What the destination confirmed last, in the form of `wanted`; AS_WANTED: just that; null: nothing yet. */
  @Column('text', { nullable: true })
  delivered!: string | null;

  @Column('integer')
  standing!: Standing;

  /** No member of the segments any more when a run last looked. */
  @Column('boolean')
  gone!: boolean;

  /**
   * The number of the run that found the person gone and would take such people off the list; other exports count on it
   * once that run has passed its hold. Null: not gone, or found by a run under KEEP or by version 0.1.0. See
   * exports/departures.ts.
   */
  @Column('integer', { nullable: true })
  departedRun!: number | null;

  /**
   * Something was sent since whose outcome is not known to be what `delivered` and `standing` say: nobody relies on them
   * until the destination has confirmed the contact again. The batch that may still tell (it sent exactly `wanted`), or
   * DOUBT_FOR_GOOD; null: no doubt.
   */
  @Column('integer', { nullable: true })
  doubt!: number | null;

  /** Which optional fields `wanted` fills, as bits like those of `everSent`. */
  @Column('integer')
  filled!: number;

  /** Which optional fields were ever sent non-empty (1 first name, 2 last name, 4 phone): empty now, they are cleared. */
  @Column('integer')
  everSent!: number;

  /**
   * Removals that a server of version 0.1.0 noted, in the form of `Removal.windows`, until the server has moved them to
   * `removals` (exports/store-earlier-removals.ts). Nothing else writes it.
   */
  @Column('text', { nullable: true })
  removals!: string | null;

  /** The run that was refused this contact; null: it was not, or the refusal does not stand any more. */
  @Column('integer', { nullable: true })
  refusedRun!: number | null;

  /** That refusal, as JSON: see exports/refusals.ts. */
  @Column('text', { nullable: true })
  refusal!: string | null;
}

/** An address that a profile had, as far as this ledger saw, and has no more: its person may have opted out there. */
@Entity('former_addresses', { withoutRowid: true })
export class FormerAddress {
  @PrimaryColumn('integer')
  ledgerId!: number;

  @PrimaryColumn('varchar')
  profileId!: string;

  @PrimaryColumn('varchar')
  emailKey!: string;

  /** As the profile wrote it. */
  @Column('varchar')
  email!: string;
}
