import type { EntityManager } from 'typeorm';
import type { Clock } from '../clock.js';
import type { Database } from '../database.js';
import { Trigger, type TriggerAuthentication } from '../entities/trigger.js';
import type { User } from '../entities/user.js';
import { BadInputError, NotFoundError } from '../errors.js';
import { findExport } from '../exports/find-exports.js';
import { newId } from '../ids.js';
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

const MAX_NAME_LENGTH = 200;
/** How long the secret before the last one still works: time to hand the new one over. */
const ROTATION_MS = 24 * 60 * 60_000;

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
  _actor: User,
  input: {
    readonly exportId: string;
    readonly name: string;
    readonly authentication: TriggerAuthentication;
  },
): Promise<IssuedTrigger> {
  const name = parseName(input.name);
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
  });
  return { trigger, secret };
}

/**
 * Gives the trigger another secret; the one that it had works for 24 hours more, the one before that no longer.
 * @throws {NotFoundError}
 */
export async function rotateTriggerSecret(
  services: TriggerServices,
  _actor: User,
  id: string,
): Promise<IssuedTrigger> {
  const secret = newWebhookSecret();
  const trigger = await change(services, id, (found) => {
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
  _actor: User,
  id: string,
  enabled: boolean,
): Promise<Trigger> {
  return change(services, id, () => ({ enabled }));
}

/** What it started goes on. @throws {NotFoundError} */
export async function removeTrigger(
  { database }: TriggerServices,
  _actor: User,
  id: string,
): Promise<boolean> {
  await database.transact(async ({ manager }) => {
    await findTrigger(manager, id);
    await manager.delete(Trigger, { id });
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
  { database }: TriggerServices,
  id: string,
  work: (found: Trigger) => Partial<Trigger>,
): Promise<Trigger> {
  return database.transact(async ({ manager }) => {
    const trigger = await findTrigger(manager, id);
    const changes = work(trigger);
    await manager.update(Trigger, { id }, changes);
    return Object.assign(trigger, changes);
  });
}

async function findTrigger(manager: EntityManager, id: string): Promise<Trigger> {
  const trigger = await manager.findOneBy(Trigger, { id });
  if (trigger === null) throw new NotFoundError('trigger');
  return trigger;
}

function parseName(input: string): string {
  const name = input.trim();
  const length = Array.from(name).length;
  if (length >= 1 && length <= MAX_NAME_LENGTH && !/\p{Cc}/u.test(name)) return name;
  throw new BadInputError(
    'name',
    'The name is empty, too long, or contains control characters.',
    `Give a name of 1 to ${MAX_NAME_LENGTH} characters on one line.`,
  );
}
