import type { Account } from '../account.js';
import { bodyObject, type CallContext, isRecord, paging, wholeNumber } from '../call-context.js';
import type { Contact } from '../contacts.js';
import { isAddress } from '../importer.js';
import { fieldValueRecord, fullContact, readMembership, shortContact } from '../records.js';
import { errors, json, notFound, type Reply } from '../reply.js';
import { findContacts } from './contact-search.js';

/** `GET /contacts` */
export function getContacts({ account, query }: CallContext): Reply {
  const { limit, offset } = paging(query);
  const { page, total } = findContacts(account, query, limit, offset);
  return json(200, {
    scoreValues: [],
    contacts: page.map((contact) => fullContact(account, contact)),
    meta: {
      total: String(total),
      sortable: true,
      page_input: {
        segmentid: 0,
        formid: 0,
        listid: wholeNumber(query.get('listid')) ?? 0,
        tagid: 0,
        limit,
        offset,
        search: query.get('search'),
        sort: null,
        seriesid: 0,
        waitid: 0,
        status: wholeNumber(query.get('status')) ?? -1,
        forceQuery: 0,
        cacheid: '3e5985ad86d3488f5e4292907c8c9752',
      },
    },
  });
}

/** `GET /contacts/:id` */
export function getContact({ account, id }: CallContext): Reply {
  const contact = account.contacts.get(wholeNumber(id) ?? 0);
  if (contact === undefined) return notFound('Subscriber', id);
  return json(200, {
    contactAutomations: [],
    contactLists: contact.memberships.map((membership) => readMembership(account, contact, membership)),
    deals: [],
    fieldValues: contact.fields.map(({ id: field, value }) =>
      fieldValueRecord(account, contact, field, value),
    ),
    geoIps: [],
    accountContacts: [],
    contact: fullContact(account, contact),
  });
}

/** `POST /contacts` (and `/contacts/sync`, which is no upsert either). */
export function postContact({ account, body }: CallContext): Reply {
  const given = givenContact(body);
  const { email } = given;
  if (typeof email !== 'string' || !isAddress(email)) return invalidAddress();
  if (account.contacts.find(email) !== undefined) return duplicate();
  const contact = account.contacts.create(email, account.clock.now());
  return json(201, { ...assign(account, contact, given), contact: shortContact(account, contact) });
}

/** `POST /contact/sync`: 201 for a new contact, 200 for one that was there. */
export function syncContact({ account, body }: CallContext): Reply {
  const given = givenContact(body);
  const { email } = given;
  if (typeof email !== 'string' || email === '') {
    const detail = 'Contact email must be provided for sync';
    return errors(400, { status: 400, title: 'Bad Request', detail });
  }
  if (!isAddress(email)) return invalidAddress();
  const known = account.contacts.find(email);
  const contact = known ?? account.contacts.create(email, account.clock.now());
  const sideloaded = assign(account, contact, given);
  const record = known === undefined ? shortContact(account, contact) : fullContact(account, contact);
  const ids = sideloaded.fieldValues?.map(({ id }) => id);
  return json(known === undefined ? 201 : 200, {
    ...sideloaded,
    contact: ids === undefined ? record : { ...record, fieldValues: ids },
  });
}

/** `PUT /contacts/:id` */
export function putContact({ account, id, body }: CallContext): Reply {
  const contact = account.contacts.get(wholeNumber(id) ?? 0);
  if (contact === undefined) return notFound('Subscriber', id);
  const given = givenContact(body);
  if (given.email !== undefined) {
    if (typeof given.email !== 'string' || !isAddress(given.email)) return invalidAddress();
    const holder = account.contacts.find(given.email);
    if (holder !== undefined && holder !== contact) return duplicate();
    account.contacts.rename(contact, given.email);
  }
  return json(200, { ...assign(account, contact, given), contact: fullContact(account, contact) });
}

/** `DELETE /contacts/:id`: its 404 spells "result" differently from the others. */
export function deleteContact({ account, id }: CallContext): Reply {
  const contact = account.contacts.get(wholeNumber(id) ?? 0);
  if (contact === undefined) return json(404, { message: `No result found for contact with id ${id}` });
  account.contacts.delete(contact);
  return json(200, {});
}

function givenContact(body: Buffer): Record<string, unknown> {
  const contact = bodyObject(body)?.contact;
  return isRecord(contact) ? contact : {};
}

/** Sets what was given. @returns the field values to show beside the contact, if any were given */
function assign(account: Account, contact: Contact, given: Record<string, unknown>) {
  contact.assign({
    firstName: text(given.firstName),
    lastName: text(given.lastName),
    phone: text(given.phone),
  });
  contact.updatedAt = account.clock.now();
  if (!Array.isArray(given.fieldValues)) return {};
  const fieldValues = [];
  for (const entry of given.fieldValues as unknown[]) {
    const field = isRecord(entry) ? wholeNumber(entry.field) : undefined;
    const value = isRecord(entry) ? text(entry.value) : undefined;
    if (field === undefined || value === undefined) continue;
    contact.setField(field, value);
    fieldValues.push(fieldValueRecord(account, contact, field, value));
  }
  return { fieldValues };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function invalidAddress(): Reply {
  return errors(422, {
    title: 'Contact Email Address is not valid.',
    detail: '',
    code: 'email_invalid',
    error: 'must_be_valid_email_address',
    source: { pointer: '/data/attributes/email' },
  });
}

function duplicate(): Reply {
  return errors(422, {
    title: 'Email address already exists in the system',
    detail: '',
    code: 'duplicate',
    source: { pointer: '/data/attributes/email' },
  });
}
