import { In } from 'typeorm';
import type { SignedInActor } from '../audit/record.js';
import { Export } from '../entities/export.js';
import { BadInputError, NotFoundError } from '../errors.js';
import { auditedExport, auditExport } from './audit-exports.js';
import { assertSameAccount, changeExport, type ExportServices } from './change-export.js';
import { findList, usableConnection } from './export-input.js';
import { getExport } from './find-exports.js';

/**
 * Takes exports off their connection, all or none: they keep their configuration and do not run; runs under way end.
 * @throws {NotFoundError} if one of them does not exist.
 */
export async function detachExports(
  services: ExportServices,
  actor: SignedInActor,
  ids: readonly string[],
): Promise<Export[]> {
  const updatedAt = new Date(services.clock.now());
  return services.database.transact(async ({ manager }) => {
    const found = await manager.findBy(Export, { id: In([...ids]) });
    const byId = new Map(found.map((definition) => [definition.id, definition]));
    const inOrder = [...new Set(ids)].map((id) => {
      const definition = byId.get(id);
      if (definition === undefined) throw new NotFoundError('export');
      return definition;
    });
    const changes = { connectionId: null, updatedAt, updatedById: actor.id };
    await manager.update(Export, { id: In([...ids]) }, changes);
    for (const definition of inOrder) {
      const before = await auditedExport(manager, definition);
      const after = Object.assign(new Export(), before, { connectionId: null });
      await auditExport(manager, { at: updatedAt, actor, action: 'detachExports' }, before, after);
    }
    return inOrder.map((definition) => Object.assign(definition, changes));
  });
}

/**
 * Puts an export on a connection.
 * @param listId a list of the account; left out, the export keeps its list, if the account is the same.
 * @throws as `createExport`; {BadInputError} if the account is another and no list is named.
 */
export async function attachExport(
  services: ExportServices,
  actor: SignedInActor,
  id: string,
  connectionId: string,
  listId?: string | null,
): Promise<Export> {
  const before = await getExport(services, id);
  const checked = await usableConnection(services.database.reader, connectionId);
  if (!listId && checked.account !== before.account) {
    throw new BadInputError(
      'listId',
      'The connection belongs to another account, which does not have the list of the export.',
      'Name a list of that account.',
    );
  }
  const list = await findList(services, checked.connection, listId ?? before.list.id);
  return changeExport(services, actor, 'attachExport', id, async ({ manager }) => {
    await assertSameAccount(manager, checked);
    return { connectionId, account: checked.account, list };
  });
}
