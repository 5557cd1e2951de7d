import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { moment } from './columns.js';

/**
 * When Sluice took an address off a list. It outlives the export that did it. List and person are keyed hashes
 * (security/person-hash.ts): a row tells nothing about anybody without the hash key.
 */
@Entity('removals', { withoutRowid: true })
export class Removal {
  /** Of account and list. */
  @PrimaryColumn('varchar')
  listHash!: string;

  /** Of account, list and e-mail key. */
  @PrimaryColumn('varchar')
  personHash!: string;

  /**
   * The latest removals, by the destination's clock: a JSON array of [from, to] in ms since 1970. An unsubscribe that
   * the destination dates otherwise was somebody's own choice.
   */
  @Column('text')
  windows!: string;

  /** Sluice has put the contact on the list again since, and the destination has confirmed it. */
  @Column('boolean')
  returned!: boolean;

  /** When the last removal was noted; a row is kept for SLUICE_REMOVAL_RETENTION_DAYS from then on. */
  @Index('removals_noted')
  @Column(moment)
  notedAt!: Date;
}

/** A key for hashes of people, sealed. There is one; it is never replaced, because the hashes would be worthless. */
@Entity('hash_keys')
export class HashKey {
  @PrimaryColumn('varchar')
  id!: string;

  @Column('text')
  sealedKey!: string;
}
