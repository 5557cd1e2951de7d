import { IsNull, type EntityManager } from 'typeorm';
import type { Connection } from '../entities/connection.js';
import { DestinationKind } from '../entities/connection.js';
import { Consent } from '../entities/consent.js';
import type { User } from '../entities/user.js';
import { BadInputError, ConsentRequiredError } from '../errors.js';
import { newId } from '../ids.js';
import { findConnection } from './find.js';
import type { ConnectionServices } from './services.js';

/** What an administrator agrees to before data may go to a destination. */
export interface ConsentStatement {
  readonly version: string;
  readonly text: string;
}

/** A text that changes gets a new version: what somebody agreed to is kept with the agreement, word for word. */
const CONSENT_STATEMENTS: Readonly<Record<DestinationKind, ConsentStatement>> = {
  [DestinationKind.ACTIVE_CAMPAIGN]: {
    version: '2026-11-01',
    text: [
      'By agreeing you instruct Sluice to send profiles to ActiveCampaign whenever an export that uses this connection ' +
        'runs. E-mail addresses, names, phone numbers and membership in your segments leave this system; they may be ' +
        'sensitive, and from then on ActiveCampaign stores and uses them under its own terms, possibly in another country.',
      'You are responsible for having the right to pass these data on, and for making sure that ActiveCampaign meets ' +
        'the duties of privacy and security that you have towards the people concerned.',
      'You can withdraw this consent at any time: no further profiles are sent from then on. An administrator can also ' +
        'remove the connection at any time. Neither deletes what ActiveCampaign already received; ask for that there.',
    ].join('\n\n'),
  },
};

/** The statement that an administrator has to agree to today. */
export function consentStatement(kind: DestinationKind): ConsentStatement {
  return CONSENT_STATEMENTS[kind];
}

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
  services: Pick<ConnectionServices, 'database' | 'clock'>,
  actor: User,
  connectionId: string,
  statementVersion: string,
): Promise<Connection> {
  const now = new Date(services.clock.now());
  return services.database.transact(async ({ manager }) => {
    const connection = await findConnection(manager, connectionId);
    const current = consentStatement(connection.kind);
    if (statementVersion !== current.version) {
      throw new BadInputError(
        'statementVersion',
        `The current statement has version ${current.version}; you agreed to another.`,
        'Read the current statement (consentStatement) and agree to its version.',
      );
    }
    const given = await consentInForce(manager, connectionId);
    if (given?.statementVersion === current.version) return connection;
    await endConsent(manager, connectionId, actor, now);
    await manager.insert(Consent, {
      id: newId(),
      connectionId,
      statement: current.text,
      statementVersion: current.version,
      acceptedAt: now,
      acceptedById: actor.id,
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
  services: Pick<ConnectionServices, 'database' | 'clock'>,
  actor: User,
  connectionId: string,
): Promise<Connection> {
  return services.database.transact(async ({ manager }) => {
    const connection = await findConnection(manager, connectionId);
    await endConsent(manager, connectionId, actor, new Date(services.clock.now()));
    return connection;
  });
}

/** Marks the consent in force, if there is one, as withdrawn, in the caller's transaction. */
export async function endConsent(
  manager: EntityManager,
  connectionId: string,
  actor: User,
  now: Date,
): Promise<void> {
  const given = await consentInForce(manager, connectionId);
  if (given === null) return;
  await manager.update(Consent, { id: given.id }, { withdrawnAt: now, withdrawnById: actor.id });
}
