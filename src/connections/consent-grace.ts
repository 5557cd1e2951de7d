import { IsNull, Not, type EntityManager } from 'typeorm';
import { record, THE_SERVER } from '../audit/record.js';
import { Connection, DestinationKind } from '../entities/connection.js';
import { Consent } from '../entities/consent.js';
import type { Logger } from '../logger.js';
import { consentEvent } from './consent.js';
import type { ConsentRules } from './consent-statements.js';
import type { ConnectionServices } from './services.js';

/**
 * What becomes of a consent when the statement has a newer version:
 *
 * current      it is to the version of today;
 * superseded   this server has a newer one, since `supersededAt`. It still holds, and an administrator is asked to agree
 *              again; giving consent replaces it;
 * lapsed       the days of grace are over and nobody has: it is withdrawn, by nobody, and nothing is sent any more.
 *
 * A server that goes back to the earlier version makes a superseded consent current again; a lapsed one stays lapsed.
 */
type Services = Pick<ConnectionServices, 'database' | 'clock' | 'consentRules'> & { readonly logger: Logger };

/** Until when an administrator must agree anew; null: nothing to do. */
export function consentDueAt({ graceMs }: ConsentRules, consent: Consent | null): Date | null {
  const since = consent?.supersededAt ?? null;
  return since && new Date(since.getTime() + graceMs);
}

/** Compares the consents in force with the statements of today: to be done at every start, before anything is sent. */
export async function supersedeConsents({ database, clock, consentRules, logger }: Services): Promise<void> {
  const supersededAt = new Date(clock.now());
  await database.transact(async ({ manager }) => {
    for (const { consent, version } of await consentsInForce(manager, consentRules)) {
      const isCurrent = consent.statementVersion === version;
      if (isCurrent === (consent.supersededAt === null)) continue;
      await manager.update(Consent, { id: consent.id }, { supersededAt: isCurrent ? null : supersededAt });
    }
  });
  for (const { consent } of await consentsInForce(database.reader, consentRules)) {
    const dueAt = consentDueAt(consentRules, consent);
    if (dueAt === null) continue;
    logger.warn(
      { connectionId: consent.connectionId, dueAt },
      'the privacy statement has changed: an administrator has to agree again (giveConsent)',
    );
  }
}

/**
 * Ends the consents whose grace is over.
 * @returns when the next one is due, in ms since 1970; undefined: none is.
 */
export async function lapseConsents({
  database,
  clock,
  consentRules,
  logger,
}: Services): Promise<number | undefined> {
  const now = new Date(clock.now());
  const superseded = await database.reader.findBy(Consent, {
    withdrawnAt: IsNull(),
    supersededAt: Not(IsNull()),
  });
  const isOver = (consent: Consent) => (consentDueAt(consentRules, consent) ?? Infinity) <= now;
  for (const { id, connectionId } of superseded.filter(isOver)) {
    await database.transact(async ({ manager }) => {
      // Somebody may have agreed a moment ago.
      const consent = await manager.findOneBy(Consent, { id, withdrawnAt: IsNull() });
      if (consent === null) return;
      await manager.update(Consent, { id }, { withdrawnAt: now });
      await record(manager, consentEvent('lapseConsent', now, THE_SERVER, connectionId, null, consent));
    });
    logger.warn(
      { connectionId },
      'nobody agreed to the new privacy statement in time: nothing is sent any more',
    );
  }
  const due = superseded
    .filter((consent) => !isOver(consent))
    .map((consent) => consentDueAt(consentRules, consent));
  const times = due.flatMap((dueAt) => (dueAt === null ? [] : [dueAt.getTime()]));
  return times.length === 0 ? undefined : Math.min(...times);
}

/** With the version that has to be agreed to today. */
async function consentsInForce(
  manager: EntityManager,
  { statements }: ConsentRules,
): Promise<{ consent: Consent; version: string }[]> {
  const given = await manager.findBy(Consent, { withdrawnAt: IsNull() });
  const connections = await manager.find(Connection, { select: { id: true, kind: true } });
  const kinds = new Map(connections.map(({ id, kind }) => [id, kind]));
  return given.map((consent) => ({
    consent,
    version: statements[kinds.get(consent.connectionId) ?? DestinationKind.ACTIVE_CAMPAIGN].version,
  }));
}
