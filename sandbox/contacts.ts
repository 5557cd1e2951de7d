import { addressKey } from './addresses.js';
import type { Lists } from './lists.js';

/** 0 unconfirmed, 1 active, 2 unsubscribed, 3 bounced. */
export type MembershipStatus = 0 | 1 | 2 | 3;

export const ACTIVE = 1;
export const UNSUBSCRIBED = 2;
export const BOUNCED = 3;

/** ActiveCampaign's mark for memberships that came through the API. */
const SOURCE_API = 3;

/** A contact's place on one list. The row outlives an unsubscribe. */
export interface Membership {
  readonly id: number;
  readonly list: number;
  status: MembershipStatus;
  /** When it last became active, and when it last stopped being so; sandbox ms. */
  subscribedAt: number | null;
  unsubscribedAt: number | null;
  readonly createdAt: number;
  sourceid: number;
  unsubreason: string;
  campaign: string | null;
  /** Whether the person unsubscribed by himself, as opposed to a call. */
  ownChoice: boolean;
}

export interface ContactValues {
  firstName?: string | undefined;
  lastName?: string | undefined;
  phone?: string | undefined;
  orgname?: string | undefined;
}

export interface FieldValue {
  readonly id: number;
  value: string;
}

const NONE: readonly never[] = Object.freeze([]);

export class Contact {
  firstName = '';
  lastName = '';
  phone = '';
  orgname = '';
  // A million of these are held: none of the three has an array of its own while it is empty, and each is as long
  // as it must be, where `push` would keep room for seventeen.
  fields: readonly FieldValue[] = NONE;
  tags: readonly string[] = NONE;
  memberships: readonly Membership[] = NONE;
  bouncedHard = false;
  /** How often an import of this contact started automations, and how often it was imported at all. */
  automations = 0;
  imports = 0;
  updatedAt: number;

  constructor(
    readonly id: number,
    public email: string,
    readonly createdAt: number,
  ) {
    this.updatedAt = createdAt;
  }

  /** Sets what is given; what is undefined stays as it is, and an empty text clears. */
  assign(values: ContactValues): void {
    if (values.firstName !== undefined) this.firstName = values.firstName;
    if (values.lastName !== undefined) this.lastName = values.lastName;
    if (values.phone !== undefined) this.phone = values.phone;
    if (values.orgname !== undefined) this.orgname = values.orgname;
  }

  setField(id: number, value: string): void {
    const known = this.fields.find((field) => field.id === id);
    if (known === undefined) this.fields = this.fields.concat({ id, value });
    else known.value = value;
  }

  addTag(tag: string): void {
    if (!this.tags.includes(tag)) this.tags = this.tags.concat(tag);
  }

  membership(list: number): Membership | undefined {
    for (const membership of this.memberships) if (membership.list === list) return membership;
    return undefined;
  }
}

/** What a change of membership leaves behind beside the status. */
export interface MembershipChange {
  sourceid?: number;
  unsubreason?: string;
  campaign?: string | null;
  ownChoice?: boolean;
}

/** All contacts of the account, found by id or by address (see addresses.ts). */
export class Contacts {
  private byKey = new Map<string, Contact>();
  /** By id − 1; undefined where one was deleted. Ids are given once. */
  private byId: (Contact | undefined)[] = [];
  private lastMembershipId = 0;
  private readonly bouncedKeys = new Set<string>();
  /** Accounts (companies) by name, made when a contact first names them. */
  private readonly organisations = new Map<string, number>();

  constructor(private readonly lists: Lists) {}

  get size(): number {
    return this.byKey.size;
  }

  find(email: string): Contact | undefined {
    return this.byKey.get(addressKey(email));
  }

  get(id: number): Contact | undefined {
    return this.byId[id - 1];
  }

  /** In the order of their ids, beginning after `afterId`. */
  *all(afterId = 0): Generator<Contact> {
    for (let index = Math.max(0, afterId); index < this.byId.length; index += 1) {
      const contact = this.byId[index];
      if (contact !== undefined) yield contact;
    }
  }

  create(email: string, now: number): Contact {
    const contact = new Contact(this.byId.length + 1, email, now);
    this.byId.push(contact);
    const key = addressKey(email);
    this.byKey.set(key, contact);
    contact.bouncedHard = this.bouncedKeys.has(key);
    return contact;
  }

  /** Gives the contact another address, which must be free. */
  rename(contact: Contact, email: string): void {
    this.byKey.delete(addressKey(contact.email));
    contact.email = email;
    this.byKey.set(addressKey(email), contact);
  }

  delete(contact: Contact): void {
    for (const membership of contact.memberships) this.count(membership, -1);
    this.byKey.delete(addressKey(contact.email));
    this.byId[contact.id - 1] = undefined;
  }

  setMembership(
    contact: Contact,
    list: number,
    status: MembershipStatus,
    now: number,
    change: MembershipChange = {},
  ): Membership {
    let membership = contact.membership(list);
    if (membership === undefined) {
      this.lastMembershipId += 1;
      membership = newMembership(this.lastMembershipId, list, now);
      contact.memberships = contact.memberships.concat(membership);
    } else {
      this.count(membership, -1);
    }
    membership.status = status;
    if (status === ACTIVE) membership.subscribedAt = now;
    if (status === UNSUBSCRIBED || status === BOUNCED) membership.unsubscribedAt = now;
    membership.sourceid = change.sourceid ?? membership.sourceid;
    membership.unsubreason = change.unsubreason ?? '';
    membership.campaign = change.campaign ?? null;
    membership.ownChoice = change.ownChoice ?? false;
    this.count(membership, 1);
    return membership;
  }

  /** Puts the address on the bounced list, whether or not there is such a contact yet. */
  bounce(email: string, now: number): void {
    const key = addressKey(email);
    this.bouncedKeys.add(key);
    const contact = this.byKey.get(key);
    if (contact === undefined) return;
    contact.bouncedHard = true;
    contact.updatedAt = now;
    for (const { list } of contact.memberships) this.setMembership(contact, list, BOUNCED, now);
  }

  isBounced(key: string): boolean {
    return this.bouncedKeys.has(key);
  }

  forgetList(list: number): void {
    for (const contact of this.all()) {
      if (contact.membership(list) === undefined) continue;
      contact.memberships = contact.memberships.filter((membership) => membership.list !== list);
    }
  }

  organisationId(name: string): number {
    if (name === '') return 0;
    const id = this.organisations.get(name) ?? this.organisations.size + 1;
    this.organisations.set(name, id);
    return id;
  }

  private count(membership: Membership, by: number): void {
    const list = this.lists.get(membership.list);
    if (list === undefined) return;
    list.total += by;
    if (membership.status === ACTIVE) list.active += by;
  }
}

function newMembership(id: number, list: number, now: number): Membership {
  return {
    id,
    list,
    status: 0,
    subscribedAt: null,
    unsubscribedAt: null,
    createdAt: now,
    sourceid: SOURCE_API,
    unsubreason: '',
    campaign: null,
    ownChoice: false,
  };
}
