import { Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';
import { moment, optionalMoment } from './columns.js';

/** See exports/batches.ts for how a batch moves between these. */
export enum BatchState {
  PLANNED = 'PLANNED',
  SENDING = 'SENDING',
  ACCEPTED = 'ACCEPTED',
  SETTLED = 'SETTLED',
  UNCONFIRMED = 'UNCONFIRMED',
  RESOLVED = 'RESOLVED',
  DROPPED = 'DROPPED',
}

/** The entries of a ledger from one key to another that one request carries, and what became of it. */
@Entity('batches')
@Index('batches_run_state', ['runId', 'state'])
export class Batch {
  @PrimaryGeneratedColumn('increment', { type: 'integer' })
  id!: number;

  @Column('varchar')
  runId!: string;

  @Column('varchar')
  fromKey!: string;

  /** Inclusive. */
  @Column('varchar')
  toKey!: string;

  /** Its people were looked up first (PUT_CHECKED); the others of the range do not belong to it, and nor do these elsewhere. */
  @Column('boolean')
  checked!: boolean;

  /** How many contacts the range holds that are still to be decided. */
  @Column('integer')
  contacts!: number;

  @Column('varchar')
  state!: BatchState;

  /** What became of its people: those of the range, and those who were refused out of it. */
  @Column('integer')
  confirmed!: number;

  @Column('integer')
  rejected!: number;

  @Column('integer')
  unconfirmed!: number;

  /** An earlier request may have brought it there: it was lost after its acceptance, or nobody knows how it ended. */
  @Column('boolean')
  mayHaveArrived!: boolean;

  /**
   * Tries without proof that the destination did not take it, over failures, losses and restarts. A batch that is SENDING
   * has used up one more; see exports/unproven-tries.ts.
   */
  @Column('integer', { default: 0 })
  unprovenTries!: number;

  /** How often the destination accepted it and then lost it; its people count as accepted since the first time. */
  @Column('integer')
  losses!: number;

  /** How many of its people had never been delivered, nor refused, before the run; those refused at once are taken off. */
  @Column('integer', { default: 0 })
  newcomers!: number;

  /** How many of these the destination refused after it accepted the batch. */
  @Column('integer', { default: 0 })
  newcomersRefused!: number;

  /** How many of those who were refused came after the last newcomer who was not, in the order of sending. */
  @Column('integer', { default: 0 })
  newcomersRefusedLast!: number;

  /** When the last request was about to begin: quota windows are rebuilt from it. */
  @Column(moment)
  intentAt!: Date;

  /**
   * When the window opened in which the removals of the accepted attempt take effect, by the destination's clock; null:
   * there is none, or nobody of the batch is to be taken off the list. See exports/removal-windows.ts.
   */
  @Column(optionalMoment)
  begunAt!: Date | null;

  /** What the destination's clock showed in the latest answer about the batch, as far as it was written down. */
  @Column(optionalMoment)
  seenAt!: Date | null;

  /** The windows that are closed, by the same clock: a JSON array of [from, to] in ms since 1970; null: there are none. */
  @Column('text', { nullable: true })
  windows!: string | null;

  /** The destination's name for the accepted batch. */
  @Column('varchar', { nullable: true })
  receipt!: string | null;

  @Column(optionalMoment)
  acceptedAt!: Date | null;
}
