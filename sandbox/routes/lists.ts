import { bodyObject, type CallContext, isRecord, paging, wholeNumber } from '../call-context.js';
import type { List } from '../lists.js';
import { fullList, shortList } from '../records.js';
import { errors, json, notFound, type Reply } from '../reply.js';

/** The one 403 that comes as text/plain. */
function forbidden(what: 'view' | 'create'): Reply {
  const detail = `You do not have permission to ${what} lists.`;
  return { ...errors(403, { status: 403, title: 'Forbidden', detail }), contentType: 'text/plain' };
}

/** `GET /lists`: unknown parameters are ignored. */
export function getLists({ account, query }: CallContext): Reply {
  if (!account.settings.canReadLists) return forbidden('view');
  const matching = account.lists.all().filter((list) => matchesName(list, query));
  const order = query.get('orders[name]')?.toLowerCase();
  if (order === 'asc' || order === 'desc') {
    matching.sort((a, b) => a.name.localeCompare(b.name) * (order === 'asc' ? 1 : -1));
  }
  const { limit, offset } = paging(query);
  return json(200, {
    lists: matching.slice(offset, offset + limit).map((list) => fullList(account, list)),
    meta: { total: String(matching.length) },
  });
}

type NameTest = (name: string, wanted: string) => boolean;

const NAME_TESTS: Record<string, NameTest> = {
  'filters[name]': (name, wanted) => name === wanted,
  'filters[name][eq]': (name, wanted) => name === wanted,
  'filters[name][neq]': (name, wanted) => name !== wanted,
  'filters[name][lt]': (name, wanted) => name < wanted,
  'filters[name][lte]': (name, wanted) => name <= wanted,
  'filters[name][gt]': (name, wanted) => name > wanted,
  'filters[name][gte]': (name, wanted) => name >= wanted,
  'filters[name][contains]': (name, wanted) => name.includes(wanted),
  'filters[name][starts_with]': (name, wanted) => name.startsWith(wanted),
};

function matchesName(list: List, query: URLSearchParams): boolean {
  for (const [parameter, wanted] of query) {
    const test = NAME_TESTS[parameter];
    if (test !== undefined && !test(list.name.toLowerCase(), wanted.toLowerCase())) return false;
  }
  return true;
}

/** `GET /lists/:id` */
export function getList({ account, id }: CallContext): Reply {
  if (!account.settings.canReadLists) return forbidden('view');
  const list = account.lists.get(wholeNumber(id) ?? 0);
  return list === undefined ? notFound('_List', id) : json(200, { list: fullList(account, list) });
}

/** `POST /lists`: 201 as recorded, not 200 as documented. */
export function postList({ account, body }: CallContext): Reply {
  if (!account.settings.canReadLists) return forbidden('create');
  const list = bodyObject(body)?.list;
  const given = isRecord(list) ? list : {};
  const required = ['name', 'stringid', 'sender_url', 'sender_reminder'] as const;
  const texts = required.map((key) => given[key]);
  if (!texts.every((value) => typeof value === 'string' && value !== '')) {
    const missing = required.filter((key) => typeof given[key] !== 'string' || given[key] === '');
    return errors(
      422,
      ...missing.map((key) => ({
        title: `The ${key} field is required.`,
        detail: '',
        code: 'field_missing',
        source: { pointer: `/data/attributes/${key}` },
      })),
    );
  }
  const [name = '', stringid = '', senderUrl = '', senderReminder = ''] = texts.map(String);
  const added = account.lists.add({ name, stringid, senderUrl, senderReminder }, account.clock.now());
  return json(201, { list: shortList(account, added) });
}
