import type { EntityManager } from 'typeorm';
import { Not, IsNull } from 'typeorm';
import type { Clock } from '../clock.js';
import type { Database } from '../database.js';
import type {
  Account,
  Capacity,
  ContactList,
  Credentials,
  Destination,
} from '../destinations/destination.js';
import { Connection, type DestinationKind } from '../entities/connection.js';
import type { SecretBox } from '../security/secret-box.js';
import { askPatiently } from './ask.js';
import type { CallerTurns } from './caller-turns.js';
import { openCredentials } from './credentials.js';
import { createSharedAnswers } from './shared-answers.js';

/**
 * What people and programs ask of an account through a connection. Each request counts in the account's quota
 * (caller-turns.ts). Those who ask the same of the same revision of a connection at the same time get one answer; lists and
 * capacity serve for `KEPT_MS` afterwards. Whether somebody may ask is for the caller to see to.
 * @throws whatever the destination throws, {ConnectionFailedError} if the key cannot be opened, {RateLimitedError}.
 */
export interface Asking {
  /** Proves the credentials. Never an answer of before. */
  readonly check: (connection: Connection) => Promise<Account>;
  readonly lists: (connection: Connection) => Promise<ContactList[]>;
  readonly capacity: (connection: Connection) => Promise<Capacity>;
}

export interface AskingServices {
  readonly database: Pick<Database, 'reader'>;
  readonly clock: Clock;
  readonly secretBox: SecretBox;
  readonly destinations: Readonly<Record<DestinationKind, Destination>>;
  readonly callerTurns: CallerTurns;
}

/** How long lists and capacities serve everybody who asks. */
const KEPT_MS = 5_000;
/** Rows of all answers that are kept; an account has 10,000 lists at most. */
const MAX_ROWS = 20_000;

export function createAsking(services: AskingServices): Asking {
  const { database, clock, destinations, callerTurns } = services;
  const rules = { keepMs: KEPT_MS, maxSize: MAX_ROWS };
  const checks = createSharedAnswers<Account>(clock, { ...rules, keepMs: 0, sizeOf: () => 0 });
  const lists = createSharedAnswers<ContactList[]>(clock, { ...rules, sizeOf: (answer) => answer.length });
  const capacities = createSharedAnswers<Capacity>(clock, { ...rules, sizeOf: () => 0 });

  const ask = async <T>(
    connection: Connection,
    question: (destination: Destination, credentials: Credentials) => Promise<T>,
  ): Promise<T> => {
    const destination = destinations[connection.kind];
    const { host } = connection;
    const account = await accountOf(database.reader, connection);
    const { windowMs } = destination.limits(host).callQuota;
    const credentials = {
      ...openCredentials(services, connection),
      turn: <A>(perform: () => Promise<A>) => callerTurns.take({ account, host, windowMs }, perform),
    };
    return askPatiently(clock, () => question(destination, credentials));
  };

  return {
    check: (connection) =>
      checks.get(nameOf(connection), () =>
        ask(connection, (destination, credentials) => destination.check(credentials)),
      ),
    lists: (connection) =>
      lists.get(nameOf(connection), () =>
        ask(connection, (destination, credentials) => destination.lists(credentials)),
      ),
    capacity: (connection) =>
      capacities.get(nameOf(connection), () =>
        ask(connection, (destination, credentials) => destination.capacity(credentials)),
      ),
  };
}

/** Another host or key is another revision. */
function nameOf({ id, revision }: Connection): string {
  return `${id} ${revision}`;
}

/** A connection that was never connected may lead to an account that another one with the same host is connected to. */
async function accountOf(reader: EntityManager, { account, host }: Connection): Promise<string | undefined> {
  if (account !== null) return account;
  const other = await reader.findOneBy(Connection, { host, account: Not(IsNull()) });
  return other?.account ?? undefined;
}
