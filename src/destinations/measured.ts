import type { Clock } from '../clock.js';
import { RateLimitedError } from '../errors.js';
import {
  type Credentials,
  FixCredentialsError,
  RefusedContactsError,
  RetryLaterError,
  type Destination,
} from './destination.js';

/** How a call ended, by what must happen next. */
export type CallResult = 'ok' | 'refused' | 'too_fast' | 'retry_later' | 'credentials' | 'broken';

/** Is told of every call of a destination, when it has ended. @param ms how long it took. */
export type OnCall = (operation: keyof Destination, result: CallResult, ms: number) => void;

/**
 * The same destination; whoever wants to know is told how long its calls take, and how they end. The time that a request
 * waits for its turn is none of the destination's, and a call whose turn did not come is none.
 */
export function measured(destination: Destination, clock: Clock, onCall: OnCall): Destination {
  const watch =
    <Rest extends unknown[], T>(
      operation: keyof Destination,
      call: (credentials: Credentials, ...rest: Rest) => Promise<T>,
    ): ((credentials: Credentials, ...rest: Rest) => Promise<T>) =>
    async (credentials, ...rest) => {
      const startedAt = clock.monotonic();
      let waitedMs = 0;
      const told = (result: CallResult) => {
        onCall(operation, result, clock.monotonic() - startedAt - waitedMs);
      };
      const noteWait = (ms: number) => {
        waitedMs += ms;
      };
      try {
        const answer = await call(withWaits(credentials, clock, noteWait), ...rest);
        told('ok');
        return answer;
      } catch (error: unknown) {
        if (!(error instanceof RateLimitedError)) told(resultOf(error));
        throw error;
      }
    };
  return {
    ...destination,
    check: watch('check', (credentials) => destination.check(credentials)),
    lists: watch('lists', (credentials) => destination.lists(credentials)),
    list: watch('list', (credentials, id) => destination.list(credentials, id)),
    send: watch('send', (credentials, batch) => destination.send(credentials, batch)),
    outcome: watch('outcome', (credentials, receipt) => destination.outcome(credentials, receipt)),
    findContact: watch('findContact', (credentials, email) => destination.findContact(credentials, email)),
    membership: watch('membership', (credentials, contact, listId) =>
      destination.membership(credentials, contact, listId),
    ),
    subscribe: watch('subscribe', (credentials, contact, listId) =>
      destination.subscribe(credentials, contact, listId),
    ),
    capacity: watch('capacity', (credentials) => destination.capacity(credentials)),
  };
}

/** The same credentials; whoever wants to know is told how long each request waits for its turn. */
function withWaits(credentials: Credentials, clock: Clock, noteWait: (ms: number) => void): Credentials {
  const { turn } = credentials;
  if (turn === undefined) return credentials;
  return {
    ...credentials,
    turn: (request) => {
      const wishedAt = clock.monotonic();
      return turn(() => {
        noteWait(clock.monotonic() - wishedAt);
        return request();
      });
    },
  };
}

function resultOf(error: unknown): CallResult {
  if (error instanceof RefusedContactsError) return 'refused';
  if (error instanceof RetryLaterError) return error.tooFast ? 'too_fast' : 'retry_later';
  return error instanceof FixCredentialsError ? 'credentials' : 'broken';
}
