import { IsNull, type EntityManager } from 'typeorm';
import { record, type AuditEntry, type SignedInActor } from '../audit/record.js';
import type { Connection } from '../entities/connection.js';
import { Consent } from '../entities/consent.js';
import { BadInputError, ConsentRequiredError } from '../errors.js';
import { newId } from '../ids.js';
import { hashStatement } from './consent-statements.js';
import { findConnection } from './find.js';
import type { ConnectionServices } from './services.js';

type Services = Pick<ConnectionServices, 'database' | 'clock' | 'consentRules'>;

/** The consent that holds for the connection now, or null. Ask again before every request that carries profiles. */
export async function consentInForce(manager: EntityManager, connectionId: string): Promise<Consent | null> {
  return manager.findOneBy(Consent, { connectionId, withdrawnAt: IsNull() });
}

/** @throws {ConsentRequiredError} if no consent holds for the connection. */
export async function assertConsent(manager: EntityManager, connectionId: string): Promise<void> {
  if ((await consentInForce(manager, connectionId)) !== null) return;
  throw new ConsentRequiredError(
    'Nobody has agreed yet that profiles may be sent through this connection.',
    'Read the statement (consentStatement) and agree to it (giveConsent).',
  );
}

/**
 * Records that the actor agrees to the current statement. Agreeing twice changes nothing; agreeing to a newer statement
 * replaces the earlier consent, which is kept as withdrawn.
 * @throws {NotFoundError} | {BadInputError} if the version is not the current one.
 */
export async function giveConsent(
  services: Services,
  actor: SignedInActor,
  connectionId: string,
  statementVersion: string,
): Promise<Connection> {
  const now = new Date(services.clock.now());
  return services.database.transact(async ({ manager }) => {
    const connection = await findConnection(manager, connectionId);
    const current = services.consentRules.statements[connection.kind];
    if (statementVersion !== current.version) {
      throw new BadInputError(
        'statementVersion',
        `The current statement has version ${current.version}; you agreed to another.`,
        'Read the current statement (consentStatement) and agree to its version.',
      );
    }
    const given = await consentInForce(manager, connectionId);
    const agreed = { statement: current.text, statementVersion: current.version };
    await record(manager, consentEvent('giveConsent', now, actor, connectionId, agreed, given));
    if (given?.statementVersion === current.version) return connection;
    if (given !== null) await end(manager, given, actor, now);
    await manager.insert(Consent, {
      id: newId(),
      connectionId,
      ...agreed,
      acceptedAt: now,
      acceptedById: actor.id,
      supersededAt: null,
      withdrawnAt: null,
      withdrawnById: null,
    });
    return connection;
  });
}

/**
 * Withdraws the consent: no request with profiles begins any more, and running exports end. Who agreed and who withdrew
 * stays on record. Where no consent is in force nothing changes.
 * @throws {NotFoundError}
 */
export async function withdrawConsent(
  services: Services,
  actor: SignedInActor,
  connectionId: string,
): Promise<Connection> {
  const now = new Date(services.clock.now());
  return services.database.transact(async ({ manager }) => {
    const connection = await findConnection(manager, connectionId);
    const wasGiven = await endConsent(manager, connectionId, actor, now);
    if (!wasGiven)
      await record(manager, consentEvent('withdrawConsent', now, actor, connectionId, null, null));
    return connection;
  });
}

/**
 * Withdraws the consent in force, if there is one, in the caller's transaction.
 * @returns whether there was one.
 */
export async function endConsent(
  manager: EntityManager,
  connectionId: string,
  actor: SignedInActor,
  now: Date,
): Promise<boolean> {
  const given = await consentInForce(manager, connectionId);
  if (given === null) return false;
  await end(manager, given, actor, now);
  await record(manager, consentEvent('withdrawConsent', now, actor, connectionId, null, given));
  return true;
}

async function end(manager: EntityManager, { id }: Consent, actor: SignedInActor, now: Date): Promise<void> {
  await manager.update(Consent, { id }, { withdrawnAt: now, withdrawnById: actor.id });
}

type Agreed = Pick<Consent, 'statement' | 'statementVersion'>;

/** What was agreed to is told by its hash: the text itself is kept with the consent. */
export function consentEvent(
  action: string,
  at: Date,
  actor: AuditEntry['actor'],
  connectionId: string,
  after: Agreed | null,
  before: Agreed | null,
): AuditEntry {
  const version = { old: before?.statementVersion ?? null, new: after?.statementVersion ?? null };
  const of = after ?? before;
  return {
    at,
    actor,
    action,
    subjectType: 'Connection',
    subjectId: connectionId,
    ...(version.old !== version.new && { changes: { consent: version } }),
    detail:
      of === null
        ? {}
        : { statementVersion: of.statementVersion, statementHash: hashStatement(of.statement) },
  };
}
