import { In, type EntityManager } from 'typeorm';
import type { Clock } from '../clock.js';
import { askPatiently } from '../connections/ask.js';
import { findConnection } from '../connections/find.js';
import { assertConsent } from '../connections/consent.js';
import { openCredentials } from '../connections/credentials.js';
import { asConnectionFailure, isDestinationFailure } from '../connections/problems.js';
import type { Database } from '../database.js';
import type { ContactList } from '../destinations/destination.js';
import type { Destinations } from '../destinations/registry.js';
import { ConnectionState, type Connection } from '../entities/connection.js';
import type { Mapping } from '../entities/export.js';
import { Segment } from '../entities/segment.js';
import { BadInputError, ConnectionFailedError } from '../errors.js';
import { assertAttributesExist } from '../profiles/attributes.js';
import type { SecretBox } from '../security/secret-box.js';

/** What checking an export's configuration needs. */
export interface ExportInputServices {
  readonly database: Database;
  readonly clock: Clock;
  readonly secretBox: SecretBox;
  readonly destinations: Destinations;
}

const MAX_SEGMENTS = 100;

/** A whole share in percent, 0 to 100. @throws {BadInputError} */
export function parseHoldPercent(input: number): number {
  if (Number.isInteger(input) && input >= 0 && input <= 100) return input;
  throw new BadInputError(
    'leaverHoldPercent',
    `${input} is no share in percent.`,
    'Give a whole number from 0 (holds every run that takes somebody off the list) to 100 (holds only those that take everybody).',
  );
}

/** The mapping, with attributes that exist. @throws {BadInputError} with the nearest name. */
export async function parseMapping(services: ExportInputServices, input: Mapping): Promise<Mapping> {
  const { email, firstName = null, lastName = null, phone = null } = input;
  for (const [field, attribute] of Object.entries({ email, firstName, lastName, phone })) {
    if (attribute !== null) await assertAttributesExist(services, [attribute], `mapping.${field}`);
  }
  return { email, firstName, lastName, phone };
}

/** The ids, each once, of segments that exist. @throws {BadInputError} */
export async function parseSegmentIds(manager: EntityManager, input: readonly string[]): Promise<string[]> {
  const ids = [...new Set(input)];
  if (ids.length === 0 || ids.length > MAX_SEGMENTS) {
    throw new BadInputError(
      'segmentIds',
      `${ids.length} segments are named.`,
      `Name 1 to ${MAX_SEGMENTS} segments whose members are to be sent.`,
    );
  }
  const known = new Set((await manager.findBy(Segment, { id: In(ids) })).map((segment) => segment.id));
  const missing = ids.find((id) => !known.has(id));
  if (missing !== undefined) {
    throw new BadInputError(
      'segmentIds',
      `There is no segment ${missing}.`,
      'Name segments that `segments` lists.',
    );
  }
  return ids;
}

/** A connection that exports can go through, and the account behind it. */
export interface UsableConnection {
  readonly connection: Connection;
  readonly account: string;
}

/**
 * @throws {NotFoundError}, {ConsentRequiredError}, or {ConnectionFailedError} if it is not connected.
 */
export async function usableConnection(manager: EntityManager, id: string): Promise<UsableConnection> {
  const connection = await findConnection(manager, id);
  await assertConsent(manager, id);
  if (connection.state !== ConnectionState.CONNECTED || connection.account === null) {
    throw new ConnectionFailedError(
      connection.problem?.message ?? 'The connection is not connected.',
      connection.problem?.remedy ?? 'An administrator connects it (connect).',
      'connectionId',
    );
  }
  return { connection, account: connection.account };
}

/** Looks a list up at the destination. @throws {BadInputError} if it is not there, {ConnectionFailedError}. */
export async function findList(
  services: ExportInputServices,
  connection: Connection,
  listId: string,
): Promise<ContactList> {
  const destination = services.destinations[connection.kind];
  const credentials = openCredentials(services, connection);
  const list = await askPatiently(services.clock, () => destination.list(credentials, listId)).catch(
    (error: unknown) => {
      throw isDestinationFailure(error) ? asConnectionFailure(error) : error;
    },
  );
  if (list === undefined) {
    throw new BadInputError(
      'listId',
      `The destination has no list ${listId}.`,
      'Choose one of `destinationLists`, or make the list at the destination first.',
    );
  }
  return list;
}
