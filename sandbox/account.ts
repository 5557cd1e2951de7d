import type { Clock } from './time.js';
import { Contacts } from './contacts.js';
import { Exclusions } from './exclusions.js';
import { AddressRules, Faults } from './faults.js';
import { type Bell, Journal } from './journal.js';
import { Judge } from './judge.js';
import { Lists, type NewList } from './lists.js';
import type { Batch } from './batch.js';
import { Quotas } from './quota.js';
import type { Settings } from './settings.js';
import type { FailureReason } from './importer.js';

/** An importer call that was answered with a 400. */
export interface RefusedBatch {
  readonly at: number;
  readonly contacts: number;
  readonly reasons: FailureReason[];
  /** Addresses of the contacts that the reasons name; of a batch of one, that one's. */
  readonly blamed: string[];
}

/** A callback that was due: whether it was made (never beyond this machine), and its answer; 0: none. */
export interface CallbackRecord {
  readonly at: number;
  readonly batchId: string;
  readonly url: string;
  readonly called: boolean;
  status: number;
}

/** Everything that one emulated account holds. A reset makes a new one. */
export class Account {
  readonly lists = new Lists();
  readonly contacts = new Contacts(this.lists);
  readonly exclusions = new Exclusions();
  readonly faults = new Faults();
  readonly addressRules = new AddressRules();
  readonly judge = new Judge();
  readonly batches = new Map<string, Batch>();
  readonly refusedBatches: RefusedBatch[] = [];
  readonly callbacks: CallbackRecord[] = [];
  readonly journal: Journal;
  readonly quotas: Quotas;
  /** Keys that exist, and those among them that have been revoked. */
  readonly keys: ReadonlySet<string>;
  readonly revokedKeys = new Set<string>();

  constructor(
    readonly name: string,
    readonly hosts: readonly string[] | undefined,
    keys: readonly string[],
    lists: readonly NewList[],
    readonly settings: Settings,
    readonly clock: Clock,
    bell: Bell,
  ) {
    this.keys = new Set(keys);
    this.journal = new Journal(bell);
    this.quotas = new Quotas(settings, clock.magnification);
    for (const list of lists) this.lists.add(list, clock.now());
  }

  knows(key: string | undefined): boolean {
    return key !== undefined && this.keys.has(key) && !this.revokedKeys.has(key);
  }

  revokeKey(key?: string): void {
    for (const known of this.keys) if (key === undefined || key === known) this.revokedKeys.add(known);
  }

  restoreKey(key?: string): void {
    if (key === undefined) this.revokedKeys.clear();
    else this.revokedKeys.delete(key);
  }

  deleteList(id: number): boolean {
    if (!this.lists.remove(id)) return false;
    this.contacts.forgetList(id);
    return true;
  }
}
