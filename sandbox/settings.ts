/**
 * What can be changed while the sandbox runs (`sandbox.set`, `POST /sandbox/settings`). Several of these stand for
 * questions that no public material answers; docs/sandbox.md names the assumption behind each default.
 */
export interface Settings {
  /** Contacts that the account may hold; null: no limit. What exceeds it is accepted and fails later. */
  subscriberLimit: number | null;
  /** From acceptance of a batch to its completion, in ms of sandbox time. */
  processingMs: number;
  /** Whether any quota is enforced. What was seen is counted either way. */
  quotas: boolean;
  /** Importer calls with several contacts in a minute. */
  importsPerMinute: number;
  /** Importer calls with a single contact in a minute. */
  singleImportsPerMinute: number;
  /** Calls to any route in a second. */
  requestsPerSecond: number;
  /** A window that slides with every call, or one that starts anew each minute and second. */
  window: 'sliding' | 'fixed';
  /** Whether importer calls count towards `requestsPerSecond` too. */
  importerCountsAsRequest: boolean;
  /**
   * Lateness on the wire that a punctual client is forgiven, in ms of *real* time. Scaled time magnifies it: at
   * scale 60 one late millisecond is 60. Windows are shortened by `jitterMs × (timeScale − 1)`, so at scale 1
   * they are exact, and one that has no length left is not enforced.
   */
  jitterMs: number;
  /** `Retry-After` of a 429, in seconds of sandbox time. Live: 1; documented: 30. */
  retryAfterSeconds: number;
  /** As recorded (`success`, text/html) or as documented (`Success`, application/json). */
  answers: 'recorded' | 'documented';
  /** Whose ids a completed batch lists under `success`. */
  successIds: 'created-and-updated' | 'created';
  /** What a former unsubscribe costs: the whole contact, or only its place on that list. Reported either way. */
  priorUnsubscribe: 'contact' | 'list';
  /** A list id that does not exist: passed over, failed later, or the whole batch refused. */
  unknownList: 'ignored' | 'fails' | 'refused';
  /** What becomes of an address whose domain is not in ASCII: it is reported under `failure`, or imported. */
  unicodeDomains: 'fail' | 'imported';
  /** How an address is spelled under `failure`: as it was sent, or in lower case (of all scripts). */
  failureSpelling: 'as-sent' | 'lower-case';
  /** How a POST callback is written. */
  callbackFormat: 'json' | 'form';
  /** Whether the key's user may see lists; else 403. */
  canReadLists: boolean;
  /** Whether the key's user is an administrator, who may read `/settings/account`; else 403. */
  canReadAccount: boolean;
  /** The account's time zone, in minutes from UTC. */
  utcOffsetMinutes: number;
  /** Whether the log keeps the bodies of importer calls (memory!). */
  keepBodies: boolean;
}

export const DEFAULT_SETTINGS: Settings = {
  subscriberLimit: null,
  processingMs: 6_000,
  quotas: true,
  importsPerMinute: 100,
  singleImportsPerMinute: 20,
  requestsPerSecond: 5,
  window: 'sliding',
  importerCountsAsRequest: true,
  jitterMs: 5,
  retryAfterSeconds: 1,
  answers: 'recorded',
  successIds: 'created-and-updated',
  priorUnsubscribe: 'contact',
  unknownList: 'ignored',
  unicodeDomains: 'fail',
  failureSpelling: 'as-sent',
  callbackFormat: 'json',
  canReadLists: true,
  canReadAccount: true,
  utcOffsetMinutes: -300,
  keepBodies: false,
};

/** Something that whoever drives the sandbox asked for and that makes no sense; the message says what would. */
export class SandboxInputError extends Error {
  override readonly name = 'SandboxInputError';
}

type Parser<T> = (value: unknown, name: string) => T;

const oneOf =
  <T extends string>(...allowed: T[]): Parser<T> =>
  (value, name) => {
    const found = allowed.find((candidate) => candidate === value);
    if (found === undefined) throw new SandboxInputError(`${name} must be one of: ${allowed.join(', ')}.`);
    return found;
  };

const yesOrNo: Parser<boolean> = (value, name) => {
  if (typeof value !== 'boolean') throw new SandboxInputError(`${name} must be true or false.`);
  return value;
};

const count =
  (min: number): Parser<number> =>
  (value, name) => {
    if (typeof value !== 'number' || !Number.isFinite(value) || value < min) {
      throw new SandboxInputError(`${name} must be a number, ${min} or more.`);
    }
    return value;
  };

const PARSERS: { [Name in keyof Settings]: Parser<Settings[Name]> } = {
  subscriberLimit: (value, name) => (value === null ? null : count(0)(value, name)),
  processingMs: count(0),
  quotas: yesOrNo,
  importsPerMinute: count(0),
  singleImportsPerMinute: count(0),
  requestsPerSecond: count(0),
  window: oneOf('sliding', 'fixed'),
  importerCountsAsRequest: yesOrNo,
  jitterMs: count(0),
  retryAfterSeconds: count(0),
  answers: oneOf('recorded', 'documented'),
  successIds: oneOf('created-and-updated', 'created'),
  priorUnsubscribe: oneOf('contact', 'list'),
  unknownList: oneOf('ignored', 'fails', 'refused'),
  unicodeDomains: oneOf('fail', 'imported'),
  failureSpelling: oneOf('as-sent', 'lower-case'),
  callbackFormat: oneOf('json', 'form'),
  canReadLists: yesOrNo,
  canReadAccount: yesOrNo,
  utcOffsetMinutes: count(-900),
  keepBodies: yesOrNo,
};

function isSettingName(name: string): name is keyof Settings {
  return Object.hasOwn(PARSERS, name);
}

/** Copies `changes` into `settings`, all or nothing. @throws SandboxInputError naming the first that is wrong. */
export function changeSettings(settings: Settings, changes: object): void {
  const parsed: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(changes)) {
    if (!isSettingName(name)) {
      const known = Object.keys(PARSERS).join(', ');
      throw new SandboxInputError(`There is no setting "${name}". There are: ${known}.`);
    }
    if (value !== undefined) parsed[name] = PARSERS[name](value, name);
  }
  Object.assign(settings, parsed);
}
