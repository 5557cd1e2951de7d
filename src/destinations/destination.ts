/**
 * What the engine needs from a marketing tool, and all it knows of one. An adapter is one object of type Destination;
 * docs/adding-a-destination.md tells how to write the next.
 */
export interface Destination {
  /**
   * Proves that the credentials open an account whose lists may be read.
   * @throws {FixCredentialsError} when a person must mend something; {RetryLaterError} when it could not be found out.
   */
  check(credentials: Credentials): Promise<Account>;

  /** Every list of the account. @throws as `check`. */
  lists(credentials: Credentials): Promise<ContactList[]>;

  /** One list, or undefined if the account has none by that id. @throws as `check`. */
  list(credentials: Credentials, id: string): Promise<ContactList | undefined>;

  /**
   * Hands over a batch. The receipt says only that the destination queued it; `outcome` tells what became of it.
   * @throws {RefusedContactsError} when the whole batch was refused because of some of its contacts;
   *   {RetryLaterError} when the same batch may be sent again later; {FixCredentialsError} when a person must act.
   */
  send(credentials: Credentials, batch: ContactBatch): Promise<Receipt>;

  /** What became of an accepted batch. @throws {RetryLaterError} | {FixCredentialsError}. */
  outcome(credentials: Credentials, receipt: Receipt): Promise<Outcome>;

  /** Why the destination is sure to refuse this address, for the person who reads it; undefined: it may be sent. */
  emailProblem(email: string): string | undefined;

  /** How many bytes the contact takes up in the body of a batch for this list. */
  bytesOf(contact: Contact, listId: string): number;

  /** The limits that hold at this host. */
  limits(host: string): DestinationLimits;
}

export interface Credentials {
  /** A bare host name that passed the host guard; with a port only for sandboxes. */
  readonly host: string;
  readonly apiKey: string;
}

/** The account behind credentials. Several host names can be one account. */
export interface Account {
  readonly id: string;
}

export interface ContactList {
  readonly id: string;
  readonly name: string;
}

/** A person as the destination is to have it. A field left out is not touched; an empty one is cleared. */
export interface Contact {
  readonly email: string;
  readonly firstName?: string;
  readonly lastName?: string;
  readonly phone?: string;
}

export interface ContactBatch {
  readonly listId: string;
  readonly contacts: readonly Contact[];
  readonly runAutomations: boolean;
}

/** The destination's own name for an accepted batch. */
export type Receipt = string;

/**
 * PENDING: ask again later. COMPLETED: done, except for the addresses in `failures` (as the destination spells them).
 * LOST: the destination gave the batch up; it may be sent again.
 */
export type Outcome =
  | { readonly state: 'PENDING' }
  | { readonly state: 'COMPLETED'; readonly failures: readonly string[]; readonly possibleReasons: string }
  | { readonly state: 'LOST'; readonly detail: string };

/** All times in milliseconds as they pass here: at a sped-up sandbox they are already divided by its time scale. */
export interface DestinationLimits {
  readonly contactsPerBatch: number;
  /** For the contacts of a batch together, as `bytesOf` counts them. */
  readonly bytesPerBatch: number;
  /** From one batch to the next. */
  readonly batchIntervalMs: number;
  /** From one batch with a single contact to the next such batch. */
  readonly singleIntervalMs: number;
  /** From one call of any kind to the next. */
  readonly callIntervalMs: number;
  /** From the acceptance of a batch to the first question for its outcome, and from one question to the next. */
  readonly outcomeIntervalMs: number;
  /** From a failure that says nothing of waiting to the next try; doubled from try to try, sixty-fold at most. */
  readonly retryIntervalMs: number;
  /** After this long without an outcome an accepted batch counts as lost. */
  readonly lostAfterMs: number;
}

/** A person must act before anything can go on: the key, the host, the account or a permission is wrong. */
export class FixCredentialsError extends Error {
  constructor(
    /** Stable: WRONG_KEY, WRONG_ACCOUNT, NOT_ACTIVE_CAMPAIGN, NO_LIST_PERMISSION, ACCOUNT_UNPAID. */
    readonly code: string,
    message: string,
    readonly remedy: string,
  ) {
    super(message);
    this.name = 'FixCredentialsError';
  }
}

/** The batch was refused as a whole, and nothing of it queued, because of some of its contacts. */
export class RefusedContactsError extends Error {
  constructor(
    /** Reason by position in the batch, from 0; empty: the destination did not say which contacts. */
    readonly named: ReadonlyMap<number, string>,
    /** What the destination said of the batch as a whole. */
    message: string,
  ) {
    super(message);
    this.name = 'RefusedContactsError';
  }
}

/** Not now: too fast, too busy, not reachable, or an answer that makes no sense. */
export class RetryLaterError extends Error {
  constructor(
    message: string,
    /** How long the destination asked to be left alone, in milliseconds as they pass here; undefined: it did not say. */
    readonly afterMs?: number,
    /** Whether the destination says that we call too often. */
    readonly tooFast = false,
  ) {
    super(message);
    this.name = 'RetryLaterError';
  }
}
