import type { Account } from '../account.js';
import { foldAscii } from '../addresses.js';
import { wholeNumber } from '../call-context.js';
import type { Contact } from '../contacts.js';

type Test = (contact: Contact) => boolean;

/**
 * The contacts that a query asks for. As at the vendor, a filter that is unknown or makes no sense is no filter: the
 * call then answers the first page of everybody. Without `orders[id]=ASC` the newest come first, as recorded.
 */
export function findContacts(
  { contacts }: Account,
  query: URLSearchParams,
  limit: number,
  offset: number,
): { page: Contact[]; total: number } {
  const email = query.get('email');
  const tests = testsOf(query);
  if (email !== null && email !== '') {
    const contact = contacts.find(email);
    const found = contact !== undefined && tests.every((test) => test(contact)) ? [contact] : [];
    return { page: found.slice(offset, offset + limit), total: found.length };
  }
  const ascending = query.get('orders[id]')?.toUpperCase() === 'ASC';
  const matching: Contact[] = [];
  for (const contact of contacts.all(wholeNumber(query.get('id_greater')) ?? 0)) {
    if (tests.every((test) => test(contact))) matching.push(contact);
  }
  const total = matching.length;
  const page = ascending
    ? matching.slice(offset, offset + limit)
    : matching.slice(Math.max(0, total - offset - limit), Math.max(0, total - offset)).reverse();
  return { page, total };
}

function testsOf(query: URLSearchParams): Test[] {
  const tests: Test[] = [];
  const less = wholeNumber(query.get('id_less'));
  if (less !== undefined) tests.push(({ id }) => id < less);
  const ids = new Set(query.getAll('ids[]').map(Number));
  if (ids.size > 0) tests.push(({ id }) => ids.has(id));
  const like = foldAscii(query.get('email_like') ?? '');
  if (like !== '') tests.push(({ email }) => foldAscii(email).includes(like));
  const search = query.get('search')?.toLowerCase();
  if (search !== undefined) {
    tests.push((contact) => {
      const { email, firstName, lastName, phone } = contact;
      return [email, firstName, lastName, phone].some((value) => value.toLowerCase().includes(search));
    });
  }
  const list = wholeNumber(query.get('listid'));
  const status = wholeNumber(query.get('status'));
  if (list !== undefined || status !== undefined) {
    tests.push(({ memberships }) =>
      memberships.some(
        (membership) =>
          (list === undefined || membership.list === list) &&
          (status === undefined || membership.status === status),
      ),
    );
  }
  return tests;
}
