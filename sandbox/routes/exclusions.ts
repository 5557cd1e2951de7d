import { foldAscii } from '../addresses.js';
import { type CallContext, paging, wholeNumber } from '../call-context.js';
import type { Exclusion } from '../exclusions.js';
import { errors, json, type Reply } from '../reply.js';

const PARAMETERS = new Set([
  'filters[matchPhrase]',
  'filters[lists][]',
  'orders[matchPhrase]',
  'orders[lists]',
  'limit',
  'offset',
]);

/** `GET /lists/exclusions`: the one collection that refuses what it does not know. */
export function getExclusions({ account, query }: CallContext): Reply {
  for (const [parameter, value] of query) {
    if (!PARAMETERS.has(parameter)) return invalid(`Unknown parameter: "${parameter}"`, parameter);
    if (parameter.startsWith('orders') && !['ASC', 'DESC'].includes(value.toUpperCase())) {
      const detail = `Invalid order direction: "${value}". Allowed values are: "ASC", "DESC"`;
      return invalid(detail, parameter);
    }
  }
  const phrase = foldAscii(query.get('filters[matchPhrase]') ?? '');
  const lists = query.getAll('filters[lists][]').map(Number);
  const matching = account.exclusions
    .all()
    .filter((exclusion) => exclusion.matchPhrase.includes(phrase))
    .filter((exclusion) => lists.length === 0 || exclusion.lists.some((list) => lists.includes(list)));
  const order = query.get('orders[matchPhrase]')?.toUpperCase();
  if (order !== undefined) {
    matching.sort((a, b) => a.matchPhrase.localeCompare(b.matchPhrase) * (order === 'ASC' ? 1 : -1));
  }
  const { limit, offset } = paging(query);
  return json(200, {
    exclusions: matching.slice(offset, offset + limit).map(exclusionRecord),
    // A number here, a text in every other collection.
    meta: { total: matching.length },
  });
}

/** `GET /lists/exclusions/:id` */
export function getExclusion({ account, id }: CallContext): Reply {
  const exclusion = account.exclusions.get(wholeNumber(id) ?? 0);
  if (exclusion === undefined) return json(404, { message: `Exclusion not found [id=${id}]` });
  return json(200, exclusionRecord(exclusion));
}

function exclusionRecord({ id, matchPhrase, matchType, lists }: Exclusion) {
  return { id: String(id), matchPhrase, matchType, channel: 'all', hidden: false, lists: lists.map(String) };
}

function invalid(detail: string, parameter: string): Reply {
  const source = { pointer: `/data/attributes/${parameter}` };
  return errors(422, { status: 422, title: 'Invalid attribute', detail, source });
}
