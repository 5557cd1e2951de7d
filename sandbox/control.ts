import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { bodyObject } from './call-context.js';
import { Fields } from './fields.js';
import { MATCH_TYPES } from './exclusions.js';
import { parseAddressRule, parseFault } from './fault-parser.js';
import type { GivenContact, Operator } from './operator.js';
import { SandboxInputError } from './settings.js';

export const CONTROL_PREFIX = '/sandbox';

interface ControlRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly body: Buffer;
}

type Action = (operator: Operator, given: Fields, query: URLSearchParams) => unknown;

/** What other processes may read and do. Each answers JSON, or a stream of JSON lines. */
const ACTIONS: Record<string, Action> = {
  'GET /state': (operator) => operator.summary(),
  'GET /contacts': (operator, _given, query) => {
    const email = query.get('email');
    if (email === null) return operator.contacts();
    return operator.contact(email) ?? notThere(`contact ${email}`);
  },
  'GET /log': (operator, _given, query) => {
    const after = Number(query.get('after') ?? 0);
    return operator.log.slice(Number.isInteger(after) && after > 0 ? after : 0).values();
  },
  'GET /batches': (operator) => operator.batches().values(),
  'GET /refused': (operator) => ({ refused: operator.refusedBatches() }),
  'GET /callbacks': (operator) => ({ callbacks: operator.callbacks() }),
  'GET /invariants': (operator) => ({
    ...operator.summary().invariants,
    overlapList: operator.overlaps(),
    resubscriptionList: operator.resubscriptions(),
  }),
  'GET /processed': (operator, _given, query) => operator.processed(query.get('email') ?? ''),
  'GET /settings': (operator) => operator.settings,
  'POST /settings': (operator, given) => {
    operator.set(given.raw);
    return operator.settings;
  },
  'GET /faults': (operator) => ({ faults: operator.faults() }),
  'POST /faults': (operator, given) => ({ id: operator.addFault(parseFault(given)) }),
  'DELETE /faults': (operator, _given, query) => {
    const id = query.get('id');
    operator.clearFaults(id === null ? undefined : Number(id));
    return {};
  },
  'POST /refuse': (operator, given) => {
    operator.refuseAddresses(parseAddressRule(given));
    return {};
  },
  'POST /unsubscribe': (operator, given) => {
    const how = { reason: given.optionalText('reason') ?? '' };
    const campaign = given.optionalText('campaign');
    operator.unsubscribe(
      given.text('email'),
      given.count('list'),
      campaign === undefined ? how : { ...how, campaign },
    );
    return {};
  },
  'POST /bounce': (operator, given) => {
    operator.bounce(given.text('email'));
    return {};
  },
  'POST /exclude': (operator, given) => {
    const matchType = given.optionalChoice('matchType', MATCH_TYPES) ?? 'exact';
    operator.exclude(given.text('matchPhrase'), matchType, given.counts('lists'));
    return {};
  },
  'POST /lists': (operator, given) => {
    const id = given.optionalCount('id');
    const name = given.text('name');
    return { id: operator.addList(id === undefined ? { name } : { id, name }) };
  },
  'DELETE /lists': (operator, _given, query) => {
    operator.deleteList(Number(query.get('id')));
    return {};
  },
  'POST /contacts': (operator, given) => {
    const contacts = given.objects('contacts').map((contact) => givenContact(contact));
    operator.addContacts(contacts);
    return { contacts: operator.contactCount };
  },
  'POST /revoke-key': (operator, given) => {
    operator.revokeKey(given.optionalText('key'));
    return {};
  },
  'POST /restore-key': (operator, given) => {
    operator.restoreKey(given.optionalText('key'));
    return {};
  },
  'POST /reset': (operator) => {
    operator.reset();
    return {};
  },
};

/** Answers one call to `/sandbox/…`. A wrong one is told what is wrong, with 400 or 404. */
export function answerControl(operator: Operator, request: ControlRequest, response: ServerResponse): void {
  const action = ACTIONS[`${request.method} ${request.path.slice(CONTROL_PREFIX.length)}`];
  if (action === undefined) {
    const known = Object.keys(ACTIONS).map((entry) => entry.replace(' ', ` ${CONTROL_PREFIX}`));
    send(response, 404, { error: `There is no ${request.method} ${request.path}.`, known });
    return;
  }
  const given = request.body.length === 0 ? {} : bodyObject(request.body);
  if (given === undefined) {
    send(response, 400, { error: 'The body must be a JSON object.' });
    return;
  }
  try {
    const answer = action(operator, new Fields(given), new URLSearchParams(request.query));
    if (isIterator(answer)) void sendLines(response, answer);
    else send(response, 200, answer);
  } catch (error: unknown) {
    if (!(error instanceof SandboxInputError)) throw error;
    send(response, 400, { error: error.message });
  }
}

function send(response: ServerResponse, status: number, answer: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(answer)}\n`);
}

/** Lines are gathered, so that a million of them are some thousand writes. */
const LINES_PER_WRITE = 500;

/** One JSON object a line, made while they are read: a million fit through a small buffer. */
async function sendLines(response: ServerResponse, entries: Iterator<unknown>): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  try {
    await pipeline(Readable.from(linesOf(entries), { objectMode: false }), response);
  } catch {
    // The reader went away in the middle: there is nobody left to tell.
    response.destroy();
  }
}

function* linesOf(entries: Iterator<unknown>): Generator<string> {
  let lines = '';
  let held = 0;
  for (let next = entries.next(); next.done !== true; next = entries.next()) {
    lines += `${JSON.stringify(next.value)}\n`;
    held += 1;
    if (held < LINES_PER_WRITE) continue;
    yield lines;
    lines = '';
    held = 0;
  }
  if (lines !== '') yield lines;
}

function isIterator(value: unknown): value is Iterator<unknown> {
  return typeof value === 'object' && value !== null && 'next' in value && typeof value.next === 'function';
}

function givenContact(given: Fields): GivenContact {
  return {
    email: given.text('email'),
    tags: given.texts('tags'),
    lists: given.counts('lists'),
    ...Fields.present({
      firstName: given.optionalText('firstName'),
      lastName: given.optionalText('lastName'),
      phone: given.optionalText('phone'),
      fields: given.raw.fields === undefined ? undefined : given.object('fields').allTexts(),
    }),
  };
}

function notThere(what: string): never {
  throw new SandboxInputError(`There is no ${what}.`);
}
