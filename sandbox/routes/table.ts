import type { CallContext } from '../call-context.js';
import type { RouteKind } from '../journal.js';
import type { Reply } from '../reply.js';
import { getContactLists, postContactList } from './contact-lists.js';
import { deleteContact, getContact, getContacts, postContact, putContact, syncContact } from './contacts.js';
import { getExclusion, getExclusions } from './exclusions.js';
import { bulkImport, importBacklog, importInfo } from './importer.js';
import { getList, getLists, postList } from './lists.js';
import { settingsAccount, usersMe } from './users.js';

interface Route {
  readonly kind: RouteKind;
  readonly handle: (context: CallContext) => Reply;
}

const PREFIX = '/api/3/';

/** `:id` stands for one segment of any text. Earlier entries win. */
const ROUTES: Record<string, Route> = {
  'GET users/me': { kind: 'me', handle: usersMe },
  'GET settings/account': { kind: 'account', handle: settingsAccount },
  'POST import/bulk_import': { kind: 'importer', handle: bulkImport },
  'GET import/bulk_import': { kind: 'backlog', handle: importBacklog },
  'GET import/info': { kind: 'info', handle: importInfo },
  'GET lists': { kind: 'lists', handle: getLists },
  'POST lists': { kind: 'lists', handle: postList },
  'GET lists/exclusions': { kind: 'exclusions', handle: getExclusions },
  'GET lists/exclusions/:id': { kind: 'exclusions', handle: getExclusion },
  'GET lists/:id': { kind: 'lists', handle: getList },
  'POST contact/sync': { kind: 'contacts', handle: syncContact },
  'GET contacts': { kind: 'contacts', handle: getContacts },
  'POST contacts': { kind: 'contacts', handle: postContact },
  'POST contacts/sync': { kind: 'contacts', handle: postContact },
  'GET contacts/:id': { kind: 'contacts', handle: getContact },
  'PUT contacts/:id': { kind: 'contacts', handle: putContact },
  'DELETE contacts/:id': { kind: 'contacts', handle: deleteContact },
  'GET contacts/:id/contactLists': { kind: 'contactLists', handle: getContactLists },
  'POST contactLists': { kind: 'contactLists', handle: postContactList },
};

const PATTERNS = Object.entries(ROUTES)
  .filter(([pattern]) => pattern.includes(':id'))
  .map(([pattern, route]) => ({ expression: new RegExp(`^${pattern.replace(':id', '([^/]+)')}$`), route }));

/** The route for a call, with its `:id`; undefined: there is none. */
export function findRoute(method: string, path: string): { route: Route; id: string } | undefined {
  if (!path.startsWith(PREFIX)) return undefined;
  const key = `${method} ${path.slice(PREFIX.length).replace(/\/$/, '')}`;
  const exact = Object.hasOwn(ROUTES, key) && !key.includes(':') ? ROUTES[key] : undefined;
  if (exact !== undefined) return { route: exact, id: '' };
  for (const { expression, route } of PATTERNS) {
    const id = expression.exec(key)?.[1];
    if (id !== undefined) return { route, id };
  }
  return undefined;
}
