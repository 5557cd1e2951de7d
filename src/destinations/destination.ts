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

  /**
   * Who has this address, as `emailKeyOf` compares it; undefined: the destination shows nobody. One call. Only an address
   * that the destination itself answers is believed, so a question that it misreads ends as undefined too.
   * @throws {RetryLaterError} | {FixCredentialsError}.
   */
  findContact(credentials: Credentials, email: string): Promise<ContactRef | undefined>;

  /**
   * How the contact stands with a list; undefined: it never was on it, or there is no such contact (any more). One
   * call; more, paced, only for somebody who is on twenty lists and more.
   * @throws {RetryLaterError} | {FixCredentialsError}.
   */
  membership(credentials: Credentials, contact: ContactRef, listId: string): Promise<Membership | undefined>;

  /**
   * Makes the contact an active member of the list at once, also one that `send` would refuse because it was
   * unsubscribed. That overrides an opt-out and may be against the law: only for somebody whose unsubscribe was surely
   * a call of ours. One call; repeating it does no harm.
   * @throws {RefusedContactsError} naming position 0, when the destination does not take it; {RetryLaterError};
   *   {FixCredentialsError}.
   */
  subscribe(credentials: Credentials, contact: ContactRef, listId: string): Promise<void>;

  /**
   * How many contacts the account may hold and does hold, for people to read. One call. What the key may not see is
   * undefined, and no sign of wrong credentials. @throws {RetryLaterError} | {FixCredentialsError}.
   */
  capacity(credentials: Credentials): Promise<Capacity>;

  /**
   * What the clock of this host showed when it last answered anything, in milliseconds since 1970, cut to the second;
   * undefined: it has not answered since the start of the process. Answers that overtake each other do not turn it
   * back; a clock that was put back does, within ten seconds. It is the clock by which `Membership.changedAt` is written.
   */
  timeAt(host: string): number | undefined;

  /**
   * Why the destination is sure to refuse this address, for the person who reads it; undefined: it may be sent. It is
   * given as the profile has it, and sent with its domain in ASCII (see src/email-address.ts).
   */
  emailProblem(email: string): string | undefined;

  /** How many bytes the contact takes up in the body of a batch for this list. */
  bytesOf(contact: Contact, listId: string): number;

  /** More than that surely not; much quicker to tell. */
  bytesAtMost(contact: Contact, listId: string): number;

  /** The limits that hold at this host. */
  limits(host: string): DestinationLimits;
}

export interface Credentials {
  /** A bare host name that passed the host guard; with a port only for sandboxes. */
  readonly host: string;
  readonly apiKey: string;
  /**
   * Gives every request that a call makes its turn in the quota of the account. Without it, the caller has taken a turn
   * for the call as a whole.
   */
  readonly turn?: <T>(request: () => Promise<T>) => Promise<T>;
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
  /** To be taken off the list instead of being put on it; no other field goes with it. */
  readonly unsubscribe?: boolean;
}

/** A contact by the destination's own name for it, which stays when the address changes. */
export interface ContactRef {
  readonly id: string;
}

/** How a contact stands with one list, as the destination has it on record. */
export interface Membership {
  /**
   * ACTIVE: on the list. UNSUBSCRIBED: taken off it, by whomever, and not to be put on it again by `send`. OTHER:
   * neither, like unconfirmed or bounced.
   */
  readonly status: 'ACTIVE' | 'UNSUBSCRIBED' | 'OTHER';
  /**
   * When it last ended, by the destination's clock (see `timeAt`), in milliseconds since 1970; undefined: never, or no
   * moment can be told. It outlives a return, so of an ACTIVE membership it says nothing.
   */
  readonly changedAt: number | undefined;
  /**
   * A reason, a campaign, a message or an automation is on record for the end: then it was surely no call of ours.
   * False proves nothing: people can leave without a trace of these.
   */
  readonly byPerson: boolean;
}

/** Undefined: unknown; for the limit also: there is none. */
export interface Capacity {
  /** The most contacts that the account may hold. */
  readonly limit: number | undefined;
  /** Those that it holds now. */
  readonly contacts: number | undefined;
}

export interface ContactBatch {
  readonly listId: string;
  readonly contacts: readonly Contact[];
  readonly runAutomations: boolean;
}

/** The destination's own name for an accepted batch. */
export type Receipt = string;

/**
 * PENDING: ask again later; `begun` is false only if the destination says that it has not begun to work on the batch.
 * COMPLETED: done, except for the addresses in `failures` (as the destination spells them). LOST: the destination gave the
 * batch up; it may be sent again.
 */
export type Outcome = (
  | { readonly state: 'PENDING'; readonly begun: boolean }
  | { readonly state: 'COMPLETED'; readonly failures: readonly string[]; readonly possibleReasons: string }
  | { readonly state: 'LOST'; readonly detail: string }
) & {
  /** What the destination's clock (see `timeAt`) showed in this very answer; undefined: nothing. */
  readonly at: number | undefined;
};

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
  /** What the destination counts and refuses beyond: batches, those with a single contact, and calls of any kind. */
  readonly batchQuota: Quota;
  readonly singleQuota: Quota;
  readonly callQuota: Quota;
  /** From the acceptance of a batch to the first question for its outcome. */
  readonly firstOutcomeMs: number;
  /** From one question for an outcome to the next. */
  readonly outcomeIntervalMs: number;
  /** From a failure that says nothing of waiting to the next try; doubled from try to try, sixty-fold at most. */
  readonly retryIntervalMs: number;
  /** From a failure without proof to the next try to send the batch or to test the destination; see circuit-breaker.ts. */
  readonly testIntervalMs: number;
  /** After this long without an outcome an accepted batch counts as lost. */
  readonly lostAfterMs: number;
  /** How many times faster than here time passes at this host: 1, except for sandboxes. */
  readonly timeScale: number;
  /** From the first question for the outcome of an earlier run's batch to the last one, if none is answered. */
  readonly unansweredAfterMs: number;
}

/** So many calls in any window of this length. */
export interface Quota {
  readonly calls: number;
  readonly windowMs: number;
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
    /** What there was in place of a usable answer. */
    readonly instead: 'NOTHING' | 'NONSENSE' | 'BAD_CERTIFICATE' = 'NOTHING',
    /**
     * Whether the destination may have done what it was asked for. NO only with proof: no connection was made, or the
     * complete answer says that the request was refused. UNKNOWN is the rule: no answer, half of one, or one that proves
     * nothing.
     */
    readonly taken: 'NO' | 'UNKNOWN' = 'UNKNOWN',
  ) {
    super(message);
    this.name = 'RetryLaterError';
  }
}
