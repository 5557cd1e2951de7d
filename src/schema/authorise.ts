import type { EntityManager } from 'typeorm';
import type { SignedInActor } from '../audit/record.js';
import { Connection, ConnectionSharing } from '../entities/connection.js';
import { ExportRun } from '../entities/export-run.js';
import { Export } from '../entities/export.js';
import { Trigger } from '../entities/trigger.js';
import { Role, type User } from '../entities/user.js';
import { ForbiddenError, NotFoundError } from '../errors.js';
import { isAtLeast, OPERATIONS, type Operation, type Rule, type Through } from '../security/permissions.js';
import type { Context } from './context.js';

/** The ids of what an operation acts on, as far as its rule asks for them. */
export type ActsOn = Readonly<Partial<Record<Through, string | readonly string[]>>>;

type Asker = Pick<Context, 'user' | 'actor'> & {
  readonly services: { readonly database: { readonly reader: EntityManager } };
};

/**
 * Lets the caller do something, by the one table of permissions. Every operation asks here first.
 * @returns in whose name it is done.
 * @throws {ForbiddenError}; {NotFoundError} where the caller may not know whether there is such a thing.
 */
export async function authorise(
  { user, actor, services }: Asker,
  operation: Operation,
  on: ActsOn = {},
): Promise<SignedInActor> {
  const rule: Rule = OPERATIONS[operation];
  if (!isAtLeast(user.role, rule.least)) {
    if (rule.otherwise === 'NOT_FOUND') throw new NotFoundError('connection');
    if (rule.otherwise !== 'EMPTY') throw roleTooLow(rule.least);
  }
  if (user.role === Role.ADMINISTRATOR) return actor;
  for (const thing of rule.through ?? []) {
    const ids = on[thing];
    if (ids === undefined) throw new Error(`${operation} did not say which ${thing} it acts on.`);
    for (const id of [ids].flat()) await ASSERT_MAY_USE[thing](services.database.reader, id);
  }
  return actor;
}

/** Whether the user may make exports on the connection, and change those that there are. */
export function mayUse(user: User, connection: Pick<Connection, 'sharing'> | null): boolean {
  if (user.role === Role.ADMINISTRATOR) return true;
  return user.role === Role.CONTRIBUTOR && isShared(connection);
}

/** The connections that the user may know of, by how they are shared. */
export function visibleSharings(user: User): ConnectionSharing[] {
  if (user.role === Role.ADMINISTRATOR) return Object.values(ConnectionSharing);
  return user.role === Role.CONTRIBUTOR ? [ConnectionSharing.ADMINISTRATORS_AND_CONTRIBUTORS] : [];
}

/** For contributors. */
const ASSERT_MAY_USE: Record<Through, (reader: EntityManager, id: string) => Promise<void>> = {
  connection: async (reader, id) => {
    if (!isShared(await reader.findOneBy(Connection, { id }))) throw new NotFoundError('connection');
  },
  export: async (reader, id) => {
    const found = await reader.findOneBy(Export, { id });
    if (found === null) throw new NotFoundError('export');
    await assertMayEdit(reader, found);
  },
  exportOrDetached: async (reader, id) => {
    const found = await reader.findOneBy(Export, { id });
    if (found === null) throw new NotFoundError('export');
    // The connection that it is put on decides alone.
    if (found.connectionId !== null) await assertMayEdit(reader, found);
  },
  run: async (reader, id) => {
    const run = await reader.findOneBy(ExportRun, { id });
    const found = run && (await reader.findOneBy(Export, { id: run.exportId }));
    if (found === null) throw new NotFoundError('run');
    await assertMayEdit(reader, found);
  },
  trigger: async (reader, id) => {
    const trigger = await reader.findOneBy(Trigger, { id });
    const found = trigger && (await reader.findOneBy(Export, { id: trigger.exportId }));
    if (found === null) throw new NotFoundError('trigger');
    await assertMayEdit(reader, found);
  },
};

async function assertMayEdit(reader: EntityManager, { connectionId }: Export): Promise<void> {
  const connection = connectionId === null ? null : await reader.findOneBy(Connection, { id: connectionId });
  if (isShared(connection)) return;
  throw new ForbiddenError(
    'You may see this export, but not change or run it: its connection is not shared with contributors.',
    'Ask an administrator to share the connection (shareConnection), or to do it.',
  );
}

function isShared(connection: Pick<Connection, 'sharing'> | null): boolean {
  return connection?.sharing === ConnectionSharing.ADMINISTRATORS_AND_CONTRIBUTORS;
}

/** For whoever has a role below `least`. */
export function roleTooLow(least: Role): ForbiddenError {
  const who = least === Role.ADMINISTRATOR ? 'administrators' : 'contributors and administrators';
  return new ForbiddenError(
    `Only ${who} may do this.`,
    'Ask an administrator to do it, or for another role.',
  );
}
