import type { ImportContact } from './importer.js';

/** The part of a batch that the judge looks at. */
export interface JudgedBatch {
  readonly id: string;
  readonly contacts: readonly ImportContact[];
  /** A reason for which the sender could not know better than to send again, once there is one. */
  excuse: 'receipt lost' | 'results withheld' | null;
}

/** Two batches that held one address for one list while neither was decided. */
export interface Overlap {
  email: string;
  list: number;
  first: string;
  second: string;
  /** Why sending again may have been right: the first one's receipt or results never reached the sender. */
  excuse: JudgedBatch['excuse'];
}

/** An unsubscribed contact that was made active again by `POST /contactLists`. */
export interface Resubscription {
  at: number;
  email: string;
  list: number;
  sourceid: number;
  /** Whether the person had unsubscribed by himself: then this overrode an opt-out. */
  overrodeOptOut: boolean;
}

/** How many overlaps are kept word for word; all are counted. */
const KEPT_OVERLAPS = 1_000;

/** Watches for what a well-behaved client never does. It only notes, and changes nothing. */
export class Judge {
  readonly overlaps: Overlap[] = [];
  overlapCount = 0;
  excusedOverlapCount = 0;
  readonly resubscriptions: Resubscription[] = [];
  /** How often addresses ended under `failure`. */
  readonly failures = new Map<string, number>();
  /** By list (0: none), by address: the last accepted batch that is not decided yet. */
  private readonly undecided = new Map<number, Map<string, JudgedBatch>>();

  accepted(batch: JudgedBatch): void {
    for (const { key, subscribe, unsubscribe } of batch.contacts) {
      if (subscribe.length === 0 && unsubscribe.length === 0) this.hold(key, 0, batch);
      for (const list of subscribe) this.hold(key, list, batch);
      for (const list of unsubscribe) this.hold(key, list, batch);
    }
  }

  decided(batch: JudgedBatch): void {
    for (const { key, subscribe, unsubscribe } of batch.contacts) {
      if (subscribe.length === 0 && unsubscribe.length === 0) this.release(key, 0, batch);
      for (const list of subscribe) this.release(key, list, batch);
      for (const list of unsubscribe) this.release(key, list, batch);
    }
  }

  failed(key: string): void {
    this.failures.set(key, (this.failures.get(key) ?? 0) + 1);
  }

  private hold(key: string, list: number, batch: JudgedBatch): void {
    let held = this.undecided.get(list);
    if (held === undefined) this.undecided.set(list, (held = new Map<string, JudgedBatch>()));
    const first = held.get(key);
    held.set(key, batch);
    // Twins within one batch are the sender's carelessness, but not a race.
    if (first === undefined || first === batch) return;
    this.overlapCount += 1;
    if (first.excuse !== null) this.excusedOverlapCount += 1;
    if (this.overlaps.length < KEPT_OVERLAPS) {
      this.overlaps.push({ email: key, list, first: first.id, second: batch.id, excuse: first.excuse });
    }
  }

  private release(key: string, list: number, batch: JudgedBatch): void {
    const held = this.undecided.get(list);
    if (held?.get(key) === batch) held.delete(key);
  }
}
