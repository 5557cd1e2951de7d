import { createHash } from 'node:crypto';
import type { Account } from './account.js';
import type { Contact, Membership } from './contacts.js';
import type { List } from './lists.js';
import { localIso, localTimestamp } from './time.js';

/** How the account's own links begin: always its api-us1.com name, whatever host was called. */
export function apiUrl(account: Account): string {
  return `https://${account.name}.api-us1.com/api/3`;
}

type Links = Record<string, string>;

function linksTo(base: string, names: readonly string[]): Links {
  const links: Links = {};
  for (const name of names) links[name] = `${base}/${name}`;
  return links;
}

/** Moments of the account, in its offset; null stays null. */
function iso(account: Account, at: number): string;
function iso(account: Account, at: number | null): string | null;
function iso(account: Account, at: number | null): string | null {
  return at === null ? null : localIso(at, account.settings.utcOffsetMinutes);
}

const timestamp = (account: Account, at: number) => localTimestamp(at, account.settings.utcOffsetMinutes);

const LIST_LINKS = ['contactGoalLists', 'user', 'addressLists'];

/** What `POST /lists` echoes: little more than was sent. */
export function shortList(account: Account, list: List) {
  return {
    name: list.name,
    stringid: list.stringid,
    sender_url: list.senderUrl,
    sender_reminder: list.senderReminder,
    cdate: iso(account, list.createdAt),
    udate: iso(account, list.createdAt),
    links: linksTo(`${apiUrl(account)}/lists/${list.id}`, LIST_LINKS),
    id: String(list.id),
  };
}

/** The 52 keys of 2026, all of them strings or null. */
export function fullList(account: Account, list: List) {
  return {
    stringid: list.stringid,
    userid: '0',
    name: list.name,
    cdate: iso(account, list.createdAt),
    p_use_tracking: '1',
    p_use_analytics_read: '0',
    p_use_analytics_link: '0',
    p_use_twitter: '0',
    p_use_facebook: '0',
    p_embed_image: '1',
    p_use_captcha: '1',
    send_last_broadcast: '0',
    private: '0',
    analytics_domains: null,
    analytics_source: '',
    analytics_ua: '',
    twitter_token: '',
    twitter_token_secret: '',
    facebook_session: null,
    carboncopy: null,
    subscription_notify: null,
    unsubscription_notify: null,
    require_name: '0',
    get_unsubscribe_reason: '0',
    to_name: 'Subscriber',
    optinoptout: '1',
    sender_name: '',
    sender_addr1: '',
    sender_addr2: '',
    sender_city: '',
    sender_state: '',
    sender_zip: '',
    sender_country: '',
    sender_phone: '',
    sender_url: list.senderUrl,
    sender_reminder: list.senderReminder,
    fulladdress: null,
    optinmessageid: '0',
    optoutconf: '0',
    deletestamp: null,
    udate: iso(account, list.createdAt),
    created_timestamp: timestamp(account, list.createdAt),
    updated_timestamp: timestamp(account, list.createdAt),
    created_by: null,
    updated_by: null,
    channel: 'email',
    description: null,
    active_subscribers: String(list.active),
    non_deleted_subscribers: String(list.total),
    links: linksTo(`${apiUrl(account)}/lists/${list.id}`, LIST_LINKS),
    id: String(list.id),
    user: null,
  };
}

const CONTACT_LINKS = [
  'bounceLogs',
  'contactData',
  'contactGoals',
  'contactLists',
  'contactLogs',
  'contactTags',
  'contactDeals',
  'deals',
  'fieldValues',
  'geoIps',
  'notes',
  'organization',
  'plusAppend',
  'trackingLogs',
  'scoreValues',
  'accountContacts',
  'automationEntryCounts',
];

function contactLinks(account: Account, { id }: Contact): Links {
  const base = `${apiUrl(account)}/contacts/${id}`;
  return {
    ...linksTo(base, CONTACT_LINKS),
    contactAutomations: `${base}/contactAutomations?limit=1000&orders%5Blastdate%5D=DESC`,
  };
}

function contactHash({ id, email }: Contact): string {
  return createHash('md5').update(`${id} ${email}`).digest('hex');
}

/** What creating a contact answers. */
export function shortContact(account: Account, contact: Contact) {
  return {
    email: contact.email,
    phone: contact.phone,
    firstName: contact.firstName,
    lastName: contact.lastName,
    email_empty: false,
    cdate: iso(account, contact.createdAt),
    udate: iso(account, contact.updatedAt),
    orgid: '',
    orgname: contact.orgname,
    links: contactLinks(account, contact),
    hash: contactHash(contact),
    id: String(contact.id),
    organization: '',
  };
}

/** What reading or changing one answers. Even `created_utc_timestamp` is local time: so it was recorded. */
export function fullContact(account: Account, contact: Contact) {
  return {
    cdate: iso(account, contact.createdAt),
    email: contact.email,
    phone: contact.phone,
    firstName: contact.firstName,
    lastName: contact.lastName,
    orgid: String(account.contacts.organisationId(contact.orgname)),
    orgname: contact.orgname,
    segmentio_id: '',
    bounced_hard: contact.bouncedHard ? '1' : '0',
    bounced_soft: '0',
    bounced_date: null,
    ip: '0',
    ua: null,
    hash: contactHash(contact),
    socialdata_lastcheck: null,
    email_local: '',
    email_domain: contact.email.slice(contact.email.lastIndexOf('@') + 1),
    sentcnt: '0',
    rating_tstamp: null,
    gravatar: '0',
    deleted: '0',
    anonymized: '0',
    adate: null,
    udate: iso(account, contact.updatedAt),
    edate: null,
    deleted_at: null,
    created_utc_timestamp: timestamp(account, contact.createdAt),
    updated_utc_timestamp: timestamp(account, contact.updatedAt),
    created_timestamp: timestamp(account, contact.createdAt),
    updated_timestamp: timestamp(account, contact.updatedAt),
    created_by: null,
    updated_by: null,
    email_empty: false,
    scoreValues: [],
    accountContacts: [],
    links: contactLinks(account, contact),
    id: String(contact.id),
    organization: null,
  };
}

/** A custom field's value. Its dates are the contact's: a million contacts keep none of their own. */
export function fieldValueRecord(account: Account, contact: Contact, field: number, value: string) {
  // One value for each contact and field: an id that tells both apart is enough.
  const id = `${contact.id}${String(field).padStart(4, '0')}`;
  return {
    contact: String(contact.id),
    field: String(field),
    value,
    cdate: iso(account, contact.createdAt),
    udate: iso(account, contact.updatedAt),
    created_by: null,
    updated_by: null,
    links: linksTo(`${apiUrl(account)}/fieldValues/${id}`, ['owner', 'field']),
    id,
    owner: String(contact.id),
  };
}

const MEMBERSHIP_LINKS = [
  'automation',
  'list',
  'contact',
  'form',
  'autosyncLog',
  'campaign',
  'unsubscribeAutomation',
  'message',
];

/** A membership as it is read back: strings. */
export function readMembership(account: Account, contact: Contact, membership: Membership) {
  const changedAt = Math.max(membership.subscribedAt ?? 0, membership.unsubscribedAt ?? 0);
  return {
    contact: String(contact.id),
    list: String(membership.list),
    form: null,
    seriesid: '0',
    sdate: iso(account, membership.subscribedAt),
    udate: iso(account, membership.unsubscribedAt),
    status: String(membership.status),
    responder: '1',
    sync: '0',
    unsubreason: membership.unsubreason,
    campaign: membership.campaign,
    message: null,
    first_name: contact.firstName,
    last_name: contact.lastName,
    ip4Sub: '0',
    sourceid: String(membership.sourceid),
    autosyncLog: null,
    ip4_last: '0',
    ip4Unsub: '0',
    created_timestamp: timestamp(account, membership.createdAt),
    updated_timestamp: timestamp(account, changedAt),
    created_by: null,
    updated_by: null,
    unsubscribeAutomation: null,
    channel: 'email',
    links: linksTo(`${apiUrl(account)}/contactLists/${membership.id}`, MEMBERSHIP_LINKS),
    id: String(membership.id),
    automation: null,
  };
}

/** A membership as `POST /contactLists` answers it: status and sourceid are numbers. */
export function writtenMembership(account: Account, contact: Contact, membership: Membership) {
  return {
    status: membership.status,
    list: String(membership.list),
    contact: String(contact.id),
    sdate: iso(account, membership.subscribedAt),
    udate: iso(account, membership.unsubscribedAt),
    unsubreason: membership.unsubreason,
    campaign: membership.campaign,
    message: null,
    first_name: contact.firstName,
    last_name: contact.lastName,
    sourceid: membership.sourceid,
    unsubscribeAutomation: null,
    links: linksTo(`${apiUrl(account)}/contactLists/${membership.id}`, MEMBERSHIP_LINKS),
    id: String(membership.id),
  };
}
