import { In, type EntityManager } from 'typeorm';
import { changesBetween, HIDDEN, type Changes } from '../audit/changes.js';
import { record, type SignedInActor } from '../audit/record.js';
import {
  Connection,
  ConnectionState,
  type ConnectionSharing,
  type DestinationKind,
} from '../entities/connection.js';
import { Export } from '../entities/export.js';
import { ConnectionInUseError } from '../errors.js';
import { newId } from '../ids.js';
import { parseName } from '../names.js';
import { readPage, type Page, type PageRequest } from '../page.js';
import { parseHost } from '../security/hosts.js';
import { endConsent } from './consent.js';
import { sealApiKey } from './credentials.js';
import { findConnection } from './find.js';
import { MAX_PROFILE_LIMIT, parseApiKey, parseProfileLimit } from './input.js';
import type { ConnectionServices } from './services.js';

/** How many exports a refusal names before it only counts the rest. */
const NAMED_EXPORTS = 3;

export interface NewConnection {
  readonly kind: DestinationKind;
  readonly displayName: string;
  readonly sharing: ConnectionSharing;
  readonly host: string;
  readonly apiKey: string;
  readonly profileLimit?: number | null;
}

/** What is left out, or null, stays as it is. */
export interface ConnectionChange {
  readonly displayName?: string | null;
  readonly host?: string | null;
  readonly apiKey?: string | null;
  readonly profileLimit?: number | null;
}

type ReadServices = Pick<ConnectionServices, 'database'>;
type WriteServices = Pick<ConnectionServices, 'database' | 'clock'>;
type EditServices = WriteServices & Pick<ConnectionServices, 'secretBox' | 'hostPolicy'>;

/** @throws {NotFoundError} */
export async function getConnection(services: ReadServices, id: string): Promise<Connection> {
  return findConnection(services.database.reader, id);
}

/** Connections that are shared in one of these ways, the oldest first. @throws {BadInputError} for a page that cannot be read. */
export async function listConnections(
  services: ReadServices,
  page: PageRequest,
  sharings: readonly ConnectionSharing[],
): Promise<Page<Connection>> {
  const query = services.database.reader.createQueryBuilder(Connection, 'connection');
  return readPage(query.where({ sharing: In(sharings) }), page, 'ASC');
}

/** Stores a connection as a draft; nothing is asked of the destination yet. @throws {BadInputError} */
export async function createConnection(
  services: EditServices,
  actor: SignedInActor,
  input: NewConnection,
): Promise<Connection> {
  const id = newId();
  const now = new Date(services.clock.now());
  const row = {
    id,
    displayName: parseName('displayName', input.displayName),
    kind: input.kind,
    sharing: input.sharing,
    state: ConnectionState.DRAFT,
    host: parseHost(input.host, services.hostPolicy),
    ...sealApiKey(services, id, parseApiKey(input.apiKey)),
    revision: 1,
    account: null,
    exportUserId: null,
    checkedAt: null,
    problem: null,
    profileLimit: parseProfileLimit(input.profileLimit ?? MAX_PROFILE_LIMIT),
    createdAt: now,
    updatedAt: now,
    updatedById: actor.id,
  };
  return services.database.transact(async ({ manager }) => {
    await manager.insert(Connection, row);
    await writeDown(manager, actor, 'createConnection', now, null, row);
    return findConnection(manager, id);
  });
}

/**
 * Changes a connection. Another key makes it a draft until it is connected again. Another host does too, and forgets the
 * key and the consent, which were given for the old one: a key must never reach a host that it was not entered for.
 * Runs under way notice either by the revision, and end.
 * @throws {NotFoundError} | {BadInputError}
 */
export async function updateConnection(
  services: EditServices,
  actor: SignedInActor,
  id: string,
  input: ConnectionChange,
): Promise<Connection> {
  const displayName = parseIfGiven(input.displayName, (text) => parseName('displayName', text));
  const profileLimit = parseIfGiven(input.profileLimit, parseProfileLimit);
  const apiKey = parseIfGiven(input.apiKey, parseApiKey);
  const host = parseIfGiven(input.host, (text) => parseHost(text, services.hostPolicy));

  return changeConnection(services, actor, 'updateConnection', id, async (connection, manager, now) => {
    const change: Partial<Connection> = {};
    if (displayName !== undefined) change.displayName = displayName;
    if (profileLimit !== undefined) change.profileLimit = profileLimit;
    const hostChanges = host !== undefined && host !== connection.host;
    if (hostChanges || apiKey !== undefined) {
      const { DRAFT: state } = ConnectionState;
      Object.assign(change, { state, problem: null, checkedAt: null, revision: connection.revision + 1 });
    }
    if (hostChanges) {
      Object.assign(change, { host, account: null, sealedApiKey: null, apiKeyHint: null });
      await endConsent(manager, id, actor, now);
    }
    if (apiKey !== undefined) Object.assign(change, sealApiKey(services, id, apiKey));
    return change;
  });
}

/** Decides who may use the connection; exports that use it already stay. @throws {NotFoundError} */
export async function shareConnection(
  services: WriteServices,
  actor: SignedInActor,
  id: string,
  sharing: ConnectionSharing,
): Promise<Connection> {
  return changeConnection(services, actor, 'shareConnection', id, () => ({ sharing }));
}

/** Makes the actor the user in whose name exports run through the connection. @throws {NotFoundError} */
export async function becomeExportUser(
  services: WriteServices,
  actor: SignedInActor,
  id: string,
): Promise<Connection> {
  return changeConnection(services, actor, 'becomeExportUser', id, () => ({ exportUserId: actor.id }));
}

/**
 * Removes the connection and its key. The record of who agreed, and who ended it, is kept.
 * @throws {NotFoundError} | {ConnectionInUseError} while exports use it.
 */
export async function removeConnection(
  services: WriteServices,
  actor: SignedInActor,
  id: string,
): Promise<boolean> {
  await services.database.transact(async ({ manager }) => {
    const now = new Date(services.clock.now());
    const connection = await findConnection(manager, id);
    await assertUnused(manager, id);
    await endConsent(manager, id, actor, now);
    await manager.delete(Connection, { id });
    await writeDown(manager, actor, 'removeConnection', now, connection, null);
  });
  return true;
}

async function assertUnused(manager: EntityManager, connectionId: string): Promise<void> {
  const [exports, count] = await manager.findAndCount(Export, {
    where: { connectionId },
    order: { id: 'ASC' },
    take: NAMED_EXPORTS,
  });
  if (count === 0) return;
  const names = exports.map(({ name }) => `"${name}"`).join(', ');
  const others = count > exports.length ? ` and ${count - exports.length} more` : '';
  throw new ConnectionInUseError(
    `The connection is used by ${count === 1 ? 'the export' : 'the exports'} ${names}${others}.`,
    'Detach or remove these exports first.',
  );
}

/** Reads, changes and stores the connection in one transaction, and notes who changed it and when. */
async function changeConnection(
  services: WriteServices,
  actor: SignedInActor,
  action: string,
  id: string,
  changeOf: (
    connection: Connection,
    manager: EntityManager,
    now: Date,
  ) => Partial<Connection> | Promise<Partial<Connection>>,
): Promise<Connection> {
  return services.database.transact(async ({ manager }) => {
    const now = new Date(services.clock.now());
    const before = await findConnection(manager, id);
    const change = await changeOf(before, manager, now);
    await manager.update(Connection, { id }, { ...change, updatedAt: now, updatedById: actor.id });
    const after = await findConnection(manager, id);
    await writeDown(manager, actor, action, now, before, after);
    return after;
  });
}

const AUDITED = ['displayName', 'kind', 'host', 'sharing', 'state', 'exportUserId', 'profileLimit'] as const;

async function writeDown(
  manager: EntityManager,
  actor: SignedInActor,
  action: string,
  at: Date,
  before: Connection | null,
  after: Connection | null,
): Promise<void> {
  await record(manager, {
    at,
    actor,
    action,
    subjectType: 'Connection',
    subjectId: (after ?? before)?.id ?? '',
    changes: { ...changesBetween(before, after, AUDITED), ...keyChange(before, after) },
  });
}

/** That the key is another one, and nothing of it. */
function keyChange(before: Connection | null, after: Connection | null): Changes {
  const [old, present] = [before?.sealedApiKey ?? null, after?.sealedApiKey ?? null];
  if (old === present) return {};
  return { apiKey: { old: old && HIDDEN, new: present && HIDDEN } };
}

function parseIfGiven<I, O>(input: I | null | undefined, parse: (input: I) => O): O | undefined {
  return input === null || input === undefined ? undefined : parse(input);
}
