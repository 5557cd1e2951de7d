import { bodyObject, type CallContext, isRecord, paging, wholeNumber } from '../call-context.js';
import { ACTIVE, type MembershipStatus, UNSUBSCRIBED } from '../contacts.js';
import { fullContact, readMembership, writtenMembership } from '../records.js';
import { errors, json, notFound, type Reply } from '../reply.js';

/** `GET /contacts/:id/contactLists`: in pages, as every collection is said to be. */
export function getContactLists({ account, id, query }: CallContext): Reply {
  const contact = account.contacts.get(wholeNumber(id) ?? 0);
  if (contact === undefined) return notFound('Subscriber', id);
  const { limit, offset } = paging(query);
  const page = contact.memberships.slice(offset, offset + limit);
  return json(200, {
    contactLists: page.map((membership) => readMembership(account, contact, membership)),
  });
}

/** `POST /contactLists`: unlike the importer, status 1 makes an unsubscribed member active again. */
export function postContactList({ account, body, call }: CallContext): Reply {
  const given = bodyObject(body)?.contactList;
  const { list, contact: contactId, status, sourceid } = isRecord(given) ? given : {};
  const contact = account.contacts.get(wholeNumber(contactId) ?? 0);
  if (contact === undefined) return missing('contact');
  const listId = wholeNumber(list) ?? 0;
  if (!account.lists.has(listId)) return missing('list');
  const wanted = membershipStatus(status);
  if (wanted === undefined) {
    return errors(422, {
      title: 'The value you selected is not a valid choice.',
      detail: '',
      code: 'field_invalid',
      source: { pointer: '/data/attributes/status' },
    });
  }
  const now = account.clock.now();
  const before = contact.membership(listId);
  const source = wholeNumber(sourceid);
  if (before?.status === UNSUBSCRIBED && wanted === ACTIVE) {
    account.judge.resubscriptions.push({
      at: call.at,
      email: contact.email,
      list: listId,
      sourceid: source ?? before.sourceid,
      overrodeOptOut: before.ownChoice,
    });
  }
  const change = source === undefined ? {} : { sourceid: source };
  // Saying again what already holds changes nothing, least of all the record of an opt-out.
  const after =
    before?.status === wanted ? before : account.contacts.setMembership(contact, listId, wanted, now, change);
  return json(201, {
    contacts: [fullContact(account, contact)],
    contactList: writtenMembership(account, contact, after),
  });
}

function missing(what: 'contact' | 'list'): Reply {
  return errors(422, {
    title: `The related ${what} does not exist.`,
    detail: '',
    code: 'related_missing',
    error: `${what}_not_exist`,
    source: { pointer: `/data/attributes/${what}` },
  });
}

function membershipStatus(value: unknown): MembershipStatus | undefined {
  const status = wholeNumber(value);
  return status === 0 || status === 1 || status === 2 || status === 3 ? status : undefined;
}
