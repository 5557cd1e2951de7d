import type { EntityManager } from 'typeorm';
import { changesBetween, HIDDEN, type Changes } from '../audit/changes.js';
import { record, type SignedInActor } from '../audit/record.js';
import type { Clock } from '../clock.js';
import type { Database } from '../database.js';
import { Trigger, type TriggerAuthentication } from '../entities/trigger.js';
import { NotFoundError } from '../errors.js';
import { findExport } from '../exports/find-exports.js';
import { newId } from '../ids.js';
import { parseName } from '../names.js';
import { readPage, type Page, type PageRequest } from '../page.js';
import type { SecretBox } from '../security/secret-box.js';
import { newWebhookSecret } from '../security/webhook-signature.js';
import { keepSecret, sealAsPrevious } from './trigger-secrets.js';

export interface TriggerServices {
  readonly database: Database;
  readonly clock: Clock;
  readonly secretBox: SecretBox;
}

/** A trigger and its secret, which is shown this once. */
export interface IssuedTrigger {
  readonly trigger: Trigger;
  readonly secret: string;
}

/** How long the secret before the last one still works: time to hand the new one over. */
const ROTATION_MS = 24 * 60 * 60_000;

/** What of a trigger the audit trail compares; of the secret it tells that there is another. */
const AUDITED = ['exportId', 'name', 'authentication', 'enabled'] as const;

/** Where a trigger is called. */
export function pathOf({ id }: Pick<Trigger, 'id'>): string {
  return `/hooks/${id}`;
}

/**
 * Makes a trigger of an export.
 * @throws {NotFoundError} for an unknown export, {BadInputError} for a name that cannot be.
 */
export async function createTrigger(
  services: TriggerServices,
  actor: SignedInActor,
  input: {
    readonly exportId: string;
    readonly name: string;
    readonly authentication: TriggerAuthentication;
  },
): Promise<IssuedTrigger> {
  const name = parseName('name', input.name);
  const { exportId, authentication } = input;
  const id = newId();
  const secret = newWebhookSecret();
  const trigger = Object.assign(new Trigger(), {
    id,
    exportId,
    name,
    authentication,
    enabled: true,
    secret: keepSecret(services, { id, authentication }, 'secret', secret),
    previousSecret: null,
    previousUntil: null,
    lastCalledAt: null,
    createdAt: new Date(services.clock.now()),
  });
  await services.database.transact(async ({ manager }) => {
    await findExport(manager, exportId);
    await manager.insert(Trigger, trigger);
    const changes = { ...changesBetween(null, trigger, AUDITED), secret: { old: null, new: HIDDEN } };
    await writeDown(services, manager, { actor, action: 'createTrigger', id, changes });
  });
  return { trigger, secret };
}

/**
 * Gives the trigger another secret; the one that it had works for 24 hours more, the one before that no longer.
 * @throws {NotFoundError}
 */
export async function rotateTriggerSecret(
  services: TriggerServices,
  actor: SignedInActor,
  id: string,
): Promise<IssuedTrigger> {
  const secret = newWebhookSecret();
  const trigger = await change(services, { actor, action: 'rotateTriggerSecret', id }, (found) => {
    const previousSecret = sealAsPrevious(services, found);
    return {
      secret: keepSecret(services, found, 'secret', secret),
      previousSecret,
      previousUntil: previousSecret === null ? null : new Date(services.clock.now() + ROTATION_MS),
    };
  });
  return { trigger, secret };
}

/** A disabled trigger answers as if it did not exist. @throws {NotFoundError} */
export async function setTriggerEnabled(
  services: TriggerServices,
  actor: SignedInActor,
  id: string,
  enabled: boolean,
): Promise<Trigger> {
  return change(services, { actor, action: 'setTriggerEnabled', id }, () => ({ enabled }));
}

/** What it started goes on. @throws {NotFoundError} */
export async function removeTrigger(
  services: TriggerServices,
  actor: SignedInActor,
  id: string,
): Promise<boolean> {
  await services.database.transact(async ({ manager }) => {
    const changes = changesBetween(await findTrigger(manager, id), null, AUDITED);
    await manager.delete(Trigger, { id });
    await writeDown(services, manager, { actor, action: 'removeTrigger', id, changes });
  });
  return true;
}

/** The oldest first. @param exportId those of this export alone. */
export async function listTriggers(
  { database }: Pick<TriggerServices, 'database'>,
  page: PageRequest,
  exportId?: string | null,
): Promise<Page<Trigger>> {
  const query = database.reader.createQueryBuilder(Trigger, 'trigger');
  if (exportId) query.where('trigger.exportId = :exportId', { exportId });
  return readPage(query, page, 'ASC');
}

async function change(
  services: TriggerServices,
  event: { readonly actor: SignedInActor; readonly action: string; readonly id: string },
  work: (found: Trigger) => Partial<Trigger>,
): Promise<Trigger> {
  const { id } = event;
  return services.database.transact(async ({ manager }) => {
    const trigger = await findTrigger(manager, id);
    const wanted = work(trigger);
    const changes = {
      ...changesBetween(trigger, Object.assign(new Trigger(), trigger, wanted), AUDITED),
      ...(wanted.secret !== undefined && { secret: { old: HIDDEN, new: HIDDEN } }),
    };
    await manager.update(Trigger, { id }, wanted);
    await writeDown(services, manager, { ...event, changes });
    return Object.assign(trigger, wanted);
  });
}

async function findTrigger(manager: EntityManager, id: string): Promise<Trigger> {
  const trigger = await manager.findOneBy(Trigger, { id });
  if (trigger === null) throw new NotFoundError('trigger');
  return trigger;
}

async function writeDown(
  { clock }: TriggerServices,
  manager: EntityManager,
  event: {
    readonly actor: SignedInActor;
    readonly action: string;
    readonly id: string;
    readonly changes: Changes;
  },
): Promise<void> {
  const { id: subjectId, ...rest } = event;
  await record(manager, { ...rest, at: new Date(clock.now()), subjectType: 'Trigger', subjectId });
}
