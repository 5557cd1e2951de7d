import { Not, type EntityManager } from 'typeorm';
import { changesBetween } from '../audit/changes.js';
import { record, THE_SERVER, type SignedInActor } from '../audit/record.js';
import { RetryLaterError, type Account, type ContactList } from '../destinations/destination.js';
import { Connection, ConnectionState } from '../entities/connection.js';
import { Export } from '../entities/export.js';
import { ConflictError, type SluiceError } from '../errors.js';
import { assertConsent } from './consent.js';
import { findConnection } from './find.js';
import { asConnectionFailure, isDestinationFailure, problemOf, type DestinationFailure } from './problems.js';
import type { ConnectionServices } from './services.js';

type CheckServices = Pick<ConnectionServices, 'database' | 'clock' | 'asking'>;
type ListServices = Pick<ConnectionServices, 'database' | 'asking'>;

/** The account that the credentials open, or the destination's failure. */
type Finding = { readonly account: Account } | { readonly failure: DestinationFailure };

/** What the connection's row becomes, and what the caller is told if that is not CONNECTED. */
interface Verdict {
  readonly columns: Partial<Connection>;
  readonly refusal?: SluiceError;
}

/**
 * Checks the credentials at the destination and stores what came of it: CONNECTED with its account, or FAILING with the
 * problem. The destination is asked outside any transaction, so the connection may change meanwhile: the revision tells,
 * and a finding about an earlier host or key is thrown away.
 * @throws {NotFoundError} | {ConsentRequiredError};
 *   {ConnectionFailedError} with the problem that is stored as well;
 *   {RateLimitedError} when too many ask the account something: nothing was found out;
 *   {ConflictError} if the connection changed meanwhile, or its exports belong to another account.
 */
export async function connect(
  services: CheckServices,
  actor: SignedInActor,
  connectionId: string,
): Promise<Connection> {
  const { database, clock } = services;
  const asked = await findConnection(database.reader, connectionId);
  await assertConsent(database.reader, connectionId);
  const finding = await check(services, asked);

  const refusal = await database.transact(async ({ manager }) => {
    const connection = await findConnection(manager, connectionId);
    if (connection.revision !== asked.revision) throw changedMeanwhile();
    await assertConsent(manager, connectionId);
    const verdict = await judge(manager, connection, finding);
    const checkedAt = new Date(clock.now());
    await manager.update(Connection, { id: connectionId }, { ...verdict.columns, checkedAt });
    const changes = changesBetween(connection, Object.assign(structuredClone(connection), verdict.columns), [
      'state',
      'account',
    ]);
    const subject = { at: checkedAt, subjectType: 'Connection', subjectId: connectionId, changes };
    if (verdict.refusal === undefined) await record(manager, { ...subject, actor, action: 'connect' });
    // The refused mutation is written down as such; this is what became of the connection nevertheless.
    else if (Object.keys(changes).length > 0)
      await record(manager, { ...subject, actor: THE_SERVER, action: 'connectionState' });
    // Answered, not thrown: throwing would roll back the problem that is to be seen on the connection.
    return verdict.refusal;
  });
  if (refusal !== undefined) throw refusal;
  return findConnection(database.reader, connectionId);
}

/**
 * The lists of the account, as the destination answered within the last seconds.
 * @throws {NotFoundError} | {ConsentRequiredError} | {ConnectionFailedError} | {RateLimitedError}
 */
export async function destinationLists(services: ListServices, connectionId: string): Promise<ContactList[]> {
  const connection = await findConnection(services.database.reader, connectionId);
  await assertConsent(services.database.reader, connectionId);
  try {
    return await services.asking.lists(connection);
  } catch (error: unknown) {
    throw isDestinationFailure(error) ? asConnectionFailure(error) : error;
  }
}

async function check(services: CheckServices, connection: Connection): Promise<Finding> {
  try {
    return { account: await services.asking.check(connection) };
  } catch (error: unknown) {
    if (isDestinationFailure(error)) return { failure: error };
    throw error;
  }
}

async function judge(manager: EntityManager, connection: Connection, finding: Finding): Promise<Verdict> {
  if ('failure' in finding) {
    const { failure } = finding;
    const refusal = asConnectionFailure(failure);
    // A destination that is busy or away says nothing about the credentials, and FAILING would end the runs under way.
    const saysNothing = failure instanceof RetryLaterError && connection.state === ConnectionState.CONNECTED;
    if (saysNothing) return { columns: {}, refusal };
    return { columns: { state: ConnectionState.FAILING, problem: problemOf(failure) }, refusal };
  }
  const account = finding.account.id;
  if (await manager.existsBy(Export, { connectionId: connection.id, account: Not(account) })) {
    const refusal = belongsToOtherAccount();
    const problem = { code: 'OTHER_ACCOUNT', message: refusal.message, remedy: refusal.remedy ?? null };
    return { columns: { state: ConnectionState.FAILING, problem }, refusal };
  }
  return { columns: { state: ConnectionState.CONNECTED, account, problem: null } };
}

function changedMeanwhile(): ConflictError {
  return new ConflictError(
    'The connection was changed while it was being checked.',
    'Look at the connection as it is now, and connect it again.',
  );
}

function belongsToOtherAccount(): ConflictError {
  return new ConflictError(
    'These credentials open another account than the one that the exports of this connection send to.',
    'Enter the credentials of the earlier account, or detach the exports first.',
  );
}
