import type { Clock } from '../clock.js';
import {
  FixCredentialsError,
  RefusedContactsError,
  RetryLaterError,
  type Destination,
} from './destination.js';

/** How a call ended, by what must happen next. */
export type CallResult = 'ok' | 'refused' | 'too_fast' | 'retry_later' | 'credentials' | 'broken';

/** Is told of every call of a destination, when it has ended. @param ms how long it took. */
export type OnCall = (operation: keyof Destination, result: CallResult, ms: number) => void;

/** The same destination; whoever wants to know is told how long its calls take, and how they end. */
export function measured(destination: Destination, clock: Clock, onCall: OnCall): Destination {
  const watch =
    <Arguments extends unknown[], T>(
      operation: keyof Destination,
      call: (...args: Arguments) => Promise<T>,
    ): ((...args: Arguments) => Promise<T>) =>
    async (...args) => {
      const startedAt = clock.monotonic();
      const told = (result: CallResult) => {
        onCall(operation, result, clock.monotonic() - startedAt);
      };
      try {
        const answer = await call(...args);
        told('ok');
        return answer;
      } catch (error: unknown) {
        told(resultOf(error));
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

function resultOf(error: unknown): CallResult {
  if (error instanceof RefusedContactsError) return 'refused';
  if (error instanceof RetryLaterError) return error.tooFast ? 'too_fast' : 'retry_later';
  return error instanceof FixCredentialsError ? 'credentials' : 'broken';
}
