import { addressKey } from './addresses.js';
import type { Account, CallbackRecord, RefusedBatch } from './account.js';
import { ACTIVE, UNSUBSCRIBED } from './contacts.js';
import type { MatchType } from './exclusions.js';
import type { AddressRule, FaultRule } from './faults.js';
import type { BatchReport, Call } from './journal.js';
import type { Overlap, Resubscription } from './judge.js';
import type { NewList } from './lists.js';
import { changeSettings, SandboxInputError, type Settings } from './settings.js';
import {
  type ContactView,
  momentWriter,
  summarise,
  type Summary,
  viewBatches,
  viewContact,
} from './views.js';

/** A contact that was there before anybody exported anything. */
export interface GivenContact {
  email: string;
  firstName?: string;
  lastName?: string;
  phone?: string;
  fields?: Record<string, string>;
  tags?: string[];
  /** Lists of which it is an active member. */
  lists?: number[];
}

/**
 * Whoever sits at the destination: reads what the account holds, does what people do there, and breaks things on
 * purpose. Every reading first lets the clock catch up.
 */
export class Operator {
  private current: Account;

  constructor(private readonly makeAccount: () => Account) {
    this.current = makeAccount();
  }

  /** The account's inside, for the server. */
  get account(): Account {
    return this.current;
  }

  /** Everything forgotten, settings and faults included; time runs on. */
  reset(): void {
    this.current.clock.stop();
    this.current = this.makeAccount();
  }

  /** Sandbox time in ms. */
  now(): number {
    return this.current.clock.now();
  }

  /** Does what is due by now. Needed only with an injected clock, and then only to make events fire. */
  tick(): void {
    this.current.clock.advance();
  }

  // What the account holds

  contact(email: string): ContactView | undefined {
    this.tick();
    const contact = this.current.contacts.find(email);
    return contact === undefined ? undefined : viewContact(contact, momentWriter(this.current));
  }

  /** All contacts in the order of their ids, made one by one: there may be a million. */
  *contacts(): Generator<ContactView> {
    this.tick();
    const iso = momentWriter(this.current);
    for (const contact of this.current.contacts.all()) yield viewContact(contact, iso);
  }

  /** Addresses on a list, those of active members unless another status is given. */
  *members(list: number, status: number = ACTIVE): Generator<string> {
    this.tick();
    for (const contact of this.current.contacts.all()) {
      if (contact.membership(list)?.status === status) yield contact.email;
    }
  }

  get contactCount(): number {
    this.tick();
    return this.current.contacts.size;
  }

  summary(): Summary {
    this.tick();
    return summarise(this.current);
  }

  batches(): BatchReport[] {
    this.tick();
    return viewBatches(this.current);
  }

  refusedBatches(): readonly RefusedBatch[] {
    return this.current.refusedBatches;
  }

  callbacks(): readonly CallbackRecord[] {
    this.tick();
    return this.current.callbacks;
  }

  get log(): readonly Call[] {
    return this.current.journal.calls;
  }

  overlaps(): readonly Overlap[] {
    return this.current.judge.overlaps;
  }

  resubscriptions(): readonly Resubscription[] {
    return this.current.judge.resubscriptions;
  }

  /** How often an address was worked off in accepted batches: imported, and listed under `failure`. */
  processed(email: string): { imported: number; failed: number } {
    this.tick();
    const failed = this.current.judge.failures.get(addressKey(email)) ?? 0;
    return { imported: this.current.contacts.find(email)?.imports ?? 0, failed };
  }

  // What people do there

  /** The person opts out of a list. @throws SandboxInputError if there is no such contact or list */
  unsubscribe(email: string, list: number, how: { reason?: string; campaign?: string } = {}): void {
    this.tick();
    const { contacts, lists, clock } = this.current;
    const contact = contacts.find(email);
    if (contact === undefined) throw new SandboxInputError(`There is no contact ${email}.`);
    if (!lists.has(list)) throw new SandboxInputError(`There is no list ${list}.`);
    contacts.setMembership(contact, list, UNSUBSCRIBED, clock.now(), {
      unsubreason: how.reason ?? '',
      campaign: how.campaign ?? null,
      ownChoice: true,
    });
  }

  /** Mail to this address bounced for good: it is never imported again. */
  bounce(email: string): void {
    this.tick();
    this.current.contacts.bounce(email, this.now());
  }

  /** Excludes addresses that are, begin or end so; from all lists unless some are named. */
  exclude(matchPhrase: string, matchType: MatchType = 'exact', lists: number[] = []): void {
    this.tick();
    this.current.exclusions.add(matchPhrase, matchType, lists);
  }

  /** @returns the new list's id */
  addList(list: NewList): number {
    return this.current.lists.add(list, this.now()).id;
  }

  deleteList(id: number): void {
    this.tick();
    if (!this.current.deleteList(id)) throw new SandboxInputError(`There is no list ${id}.`);
  }

  /** Makes contacts, or changes those that are there. @throws SandboxInputError at the first list or field id that is none */
  addContacts(given: Iterable<GivenContact>): void {
    this.tick();
    const { contacts, clock, lists } = this.current;
    for (const one of given) {
      const unknown = one.lists?.find((list) => !lists.has(list));
      if (unknown !== undefined) throw new SandboxInputError(`There is no list ${unknown}.`);
      const wrong = Object.keys(one.fields ?? {}).find((id) => !/^\d+$/.test(id));
      if (wrong !== undefined) throw new SandboxInputError(`"${wrong}" is no field id.`);
      const contact = contacts.find(one.email) ?? contacts.create(one.email, clock.now());
      contact.assign(one);
      for (const [id, value] of Object.entries(one.fields ?? {})) contact.setField(Number(id), value);
      for (const tag of one.tags ?? []) contact.addTag(tag);
      for (const list of one.lists ?? []) contacts.setMembership(contact, list, ACTIVE, clock.now());
    }
  }

  /** One key, or all, stop working; or work again. */
  revokeKey(key?: string): void {
    this.current.revokeKey(key);
  }

  restoreKey(key?: string): void {
    this.current.restoreKey(key);
  }

  get settings(): Readonly<Settings> {
    return this.current.settings;
  }

  /** Changes settings from now on. @throws SandboxInputError, and then none is changed */
  set(changes: Partial<Settings>): void {
    this.tick();
    changeSettings(this.current.settings, changes);
  }

  // What goes wrong

  /** @returns the fault's id */
  addFault(rule: FaultRule): number {
    return this.current.faults.add(rule);
  }

  /** Takes one scripted fault back, or all of them and the address rules. */
  clearFaults(id?: number): void {
    this.current.faults.clear(id);
    if (id === undefined) this.current.addressRules.clear();
  }

  /** The faults that are set, with how many calls each has met and struck. */
  faults(): { id: number; rule: FaultRule; matched: number; struck: number }[] {
    return this.current.faults.all();
  }

  /** These addresses are refused each time they come, until `clearFaults`. */
  refuseAddresses(rule: AddressRule): void {
    this.current.addressRules.add(rule);
  }
}
