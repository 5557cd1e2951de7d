import type { Transaction } from '../database.js';
import type { Bell } from '../bell.js';

/** Works one account until it has nothing left to do. */
export type AccountWorker = (account: string, bell: Bell, signal: AbortSignal) => Promise<void>;

/** How much a queue has to do, over all processes. */
export interface QueueDepth {
  /** Accounts with work that nobody has begun. */
  readonly waiting: number;
  /** Accounts that are being worked. */
  readonly active: number;
  /** How long the first of those that wait has waited; 0 if none does. */
  readonly oldestSeconds: number;
}

/**
 * Sees to it that every account with work is worked, by one worker at a time. Rows are the truth; the queue is only
 * their bell: it carries the name of an account, and a ring too many does no harm. The implementations are in jobs/.
 */
export interface Queue {
  /** Rings for an account as soon as the transaction that wrote its row is durable, and never if it rolls back. */
  readonly ring: (transaction: Transaction, account: string) => Promise<void>;
  /** Begins to work, with the accounts whose runs an earlier process left unfinished. */
  readonly start: (worker: AccountWorker, unfinished: readonly string[]) => void;
  /** Stops all workers and waits until they have put down what they hold. */
  readonly stop: () => Promise<void>;
  readonly depth: () => Promise<QueueDepth>;
}
