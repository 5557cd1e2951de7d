import type { Account } from './account.js';
import type { Contact } from './contacts.js';
import { reportBatch } from './processing.js';
import { localIso } from './time.js';

/** A contact's place on a list, as judges see it. Moments in the account's own offset, as the API writes them. */
export interface MembershipView {
  list: number;
  /** 0 unconfirmed, 1 active, 2 unsubscribed, 3 bounced. */
  status: number;
  sdate: string | null;
  udate: string | null;
  sourceid: number;
  unsubreason: string;
  campaign: string | null;
  /** Unsubscribed by the person, not by a call. */
  ownChoice: boolean;
}

export interface ContactView {
  id: number;
  email: string;
  firstName: string;
  lastName: string;
  phone: string;
  orgname: string;
  /** By field id. */
  fields: Record<string, string>;
  tags: string[];
  lists: MembershipView[];
  bouncedHard: boolean;
  /** How often an import started automations for it, and how often it was imported. */
  automations: number;
  imports: number;
  cdate: string;
  udate: string;
}

/** Writes moments in the account's offset; remembers the last, for a batch of contacts has one in common. */
export function momentWriter({ settings }: Account): (at: number) => string {
  let lastAt = NaN;
  let last = '';
  return (at) => {
    if (at !== lastAt) last = localIso(at, settings.utcOffsetMinutes);
    lastAt = at;
    return last;
  };
}

export function viewContact(contact: Contact, iso: (at: number) => string): ContactView {
  return {
    id: contact.id,
    email: contact.email,
    firstName: contact.firstName,
    lastName: contact.lastName,
    phone: contact.phone,
    orgname: contact.orgname,
    fields: Object.fromEntries(contact.fields.map(({ id, value }) => [id, value])),
    tags: [...contact.tags],
    lists: contact.memberships.map((membership) => ({
      list: membership.list,
      status: membership.status,
      sdate: membership.subscribedAt === null ? null : iso(membership.subscribedAt),
      udate: membership.unsubscribedAt === null ? null : iso(membership.unsubscribedAt),
      sourceid: membership.sourceid,
      unsubreason: membership.unsubreason,
      campaign: membership.campaign,
      ownChoice: membership.ownChoice,
    })),
    bouncedHard: contact.bouncedHard,
    automations: contact.automations,
    imports: contact.imports,
    cdate: iso(contact.createdAt),
    udate: iso(contact.updatedAt),
  };
}

/** Everything in figures, and what a well-behaved client leaves at nought. */
export function summarise(account: Account) {
  const batches = { total: 0, undecided: 0, completed: 0, failed: 0, interrupted: 0, contacts: 0 };
  for (const batch of account.batches.values()) {
    batches.total += 1;
    batches.contacts += batch.size;
    batches[batch.end ?? 'undecided'] += 1;
  }
  const { judge, quotas } = account;
  return {
    account: account.name,
    now: account.clock.now(),
    time: localIso(account.clock.now(), account.settings.utcOffsetMinutes),
    timeScale: account.clock.timeScale,
    contacts: account.contacts.size,
    lists: account.lists.all().map(({ id, name, active, total }) => ({ id, name, active, total })),
    exclusions: account.exclusions.all().length,
    batches,
    refusedBatches: account.refusedBatches.length,
    calls: account.journal.calls.length,
    faults: { set: account.faults.all().length, struck: account.faults.struck },
    invariants: {
      /** The busiest true windows; refused calls are counted. */
      busiest: { ...quotas.busiest },
      quotaRefusals: { ...quotas.refusals },
      /** Two undecided batches with one address for one list; `excused`: the first one's end could not be known. */
      overlaps: judge.overlapCount,
      overlapsNotExcused: judge.overlapCount - judge.excusedOverlapCount,
      resubscriptions: judge.resubscriptions.length,
      overriddenOptOuts: judge.resubscriptions.filter(({ overrodeOptOut }) => overrodeOptOut).length,
    },
    settings: { ...account.settings },
  };
}

export type Summary = ReturnType<typeof summarise>;

export function viewBatches(account: Account) {
  return [...account.batches.values()].map(reportBatch);
}
