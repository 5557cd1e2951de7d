import type { AddressRule, FaultAction, FaultRule } from './faults.js';
import { Fields } from './fields.js';
import { ROUTE_KINDS } from './journal.js';
import { SandboxInputError } from './settings.js';

const TYPES = [
  'answer',
  'rate-limit',
  'html',
  'redirect',
  'reset',
  'hang',
  'truncate',
  'slow',
  'quota',
  'refuse',
  'batch',
  'withhold',
  'delete-list',
  'revoke-key',
] as const satisfies FaultAction['type'][];

const NO_STATUS = false as const;
const STATUSES = ['waiting', 'claimed', 'active'] as const;

/** `{"on":"importer","nth":2,"action":{"type":"rate-limit"}}` as a rule. @throws SandboxInputError */
export function parseFault(given: Fields): FaultRule {
  return {
    on: given.choice('on', [...ROUTE_KINDS, 'any']),
    action: parseAction(given.object('action')),
    ...Fields.present({
      method: given.optionalText('method'),
      containing: given.optionalText('containing'),
      nth: given.optionalCount('nth'),
      times: given.raw.times === null ? null : given.optionalCount('times'),
      probability: given.optionalShare('probability'),
      seed: given.optionalCount('seed'),
    }),
  };
}

function parseAction(given: Fields): FaultAction {
  const type = given.choice('type', TYPES);
  switch (type) {
    case 'answer':
      return {
        type,
        status: given.count('status'),
        ...Fields.present({
          body: given.optionalText('body'),
          contentType: given.optionalText('contentType'),
          retryAfterSeconds: given.optionalCount('retryAfterSeconds'),
        }),
      };
    case 'rate-limit':
      return { type, ...Fields.present({ retryAfterSeconds: given.optionalCount('retryAfterSeconds') }) };
    case 'html':
      return { type, ...Fields.present({ status: given.optionalCount('status') }) };
    case 'redirect':
      return { type, ...Fields.present({ location: given.optionalText('location') }) };
    case 'reset':
    case 'hang':
      return { type, when: given.choice('when', ['before', 'after']) };
    case 'truncate':
      return { type, ...Fields.present({ cleanly: given.optionalFlag('cleanly') }) };
    case 'quota':
      return { type };
    case 'slow':
      return { type, delayMs: given.count('delayMs') };
    case 'refuse':
      return {
        type,
        ...Fields.present({
          contacts: given.raw.contacts === undefined ? undefined : given.counts('contacts'),
          named: given.optionalFlag('named'),
          reason: given.optionalText('reason'),
        }),
      };
    case 'batch':
      return {
        type,
        status: given.choice('status', ['failed', 'interrupted']),
        ...Fields.present({ processed: given.optionalCount('processed') }),
      };
    case 'withhold':
      return {
        type,
        ...Fields.present({
          status: given.raw.status === false ? NO_STATUS : given.optionalChoice('status', STATUSES),
          polls: given.optionalCount('polls'),
        }),
      };
    case 'delete-list':
      return { type, list: given.count('list') };
    case 'revoke-key':
      return { type, ...Fields.present({ key: given.optionalText('key') }) };
  }
}

/** `{"emails":[…],"matching":"^bad","how":"later"}` as a rule. @throws SandboxInputError */
export function parseAddressRule(given: Fields): AddressRule {
  const matching = given.optionalText('matching');
  return {
    emails: given.texts('emails'),
    how: given.choice('how', ['named', 'unnamed', 'later']),
    ...Fields.present({
      matching: matching === undefined ? undefined : expression(matching),
      reason: given.optionalText('reason'),
    }),
  };
}

function expression(source: string): RegExp {
  try {
    return new RegExp(source, 'u');
  } catch {
    throw new SandboxInputError(`"matching" must be a regular expression.`);
  }
}
