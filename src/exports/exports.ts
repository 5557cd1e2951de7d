import { In, type EntityManager } from 'typeorm';
import type { Clock } from '../clock.js';
import { findConnection } from '../connections/find.js';
import type { Transaction } from '../database.js';
import { Connection } from '../entities/connection.js';
import { ExportRun, ExportRunState } from '../entities/export-run.js';
import { Export, ExportSegment, type Mapping } from '../entities/export.js';
import type { User } from '../entities/user.js';
import { BadInputError, ConflictError, NotFoundError } from '../errors.js';
import { newId } from '../ids.js';
import { readPage, type Page, type PageRequest } from '../page.js';
import {
  findList,
  parseExportName,
  parseMapping,
  parseSegmentIds,
  usableConnection,
  type ExportInputServices,
  type UsableConnection,
} from './export-input.js';
import type { Queue } from './queue.js';

/** What the care for exports needs. */
export interface ExportServices extends ExportInputServices {
  readonly clock: Clock;
  readonly queue: Queue;
}

export interface NewExport {
  readonly name: string;
  readonly connectionId: string;
  readonly listId: string;
  readonly segmentIds: readonly string[];
  readonly mapping: Mapping;
  readonly runAutomations: boolean;
}

/** What is left out, or null, stays as it is. */
export interface ExportChanges {
  readonly name?: string | null;
  readonly listId?: string | null;
  readonly segmentIds?: readonly string[] | null;
  readonly mapping?: Mapping | null;
  readonly runAutomations?: boolean | null;
}

/**
 * Makes an export. Runs nothing.
 * @throws {NotFoundError}, {BadInputError} for an unknown list, segment or attribute, {ConsentRequiredError},
 *   {ConnectionFailedError}.
 */
export async function createExport(services: ExportServices, actor: User, input: NewExport): Promise<Export> {
  const { reader } = services.database;
  const name = parseExportName(input.name);
  const mapping = await parseMapping(services, input.mapping);
  const segmentIds = await parseSegmentIds(reader, input.segmentIds);
  const checked = await usableConnection(reader, input.connectionId);
  const list = await findList(services, checked.connection, input.listId);
  const now = new Date(services.clock.now());
  const created: Export = {
    id: newId(),
    name,
    connectionId: input.connectionId,
    list,
    account: checked.account,
    mapping,
    runAutomations: input.runAutomations,
    createdAt: now,
    updatedAt: now,
    updatedById: actor.id,
  };
  await services.database.transact(async ({ manager }) => {
    await assertSameAccount(manager, checked);
    await manager.insert(Export, created);
    await writeSegments(manager, created.id, segmentIds);
  });
  return created;
}

/**
 * Changes an export. Runs nothing; a run under way goes on as it began, a queued one begins with the changes.
 * @throws as `createExport`.
 */
export async function updateExport(
  services: ExportServices,
  actor: User,
  id: string,
  changes: ExportChanges,
): Promise<Export> {
  const { reader } = services.database;
  const before = await getExport(services, id);
  const name = changes.name ? parseExportName(changes.name) : before.name;
  const mapping = changes.mapping ? await parseMapping(services, changes.mapping) : before.mapping;
  const segmentIds = changes.segmentIds ? await parseSegmentIds(reader, changes.segmentIds) : undefined;
  const checked = changes.listId ? await usableConnection(reader, attachedTo(before)) : undefined;
  const list =
    checked && changes.listId ? await findList(services, checked.connection, changes.listId) : before.list;
  const runAutomations = changes.runAutomations ?? before.runAutomations;
  return change(services, actor, id, async (transaction, found) => {
    if (checked !== undefined) {
      await assertSameAccount(transaction.manager, checked);
      assertStillAttached(found, checked);
    }
    if (segmentIds !== undefined) await writeSegments(transaction.manager, id, segmentIds);
    return { name, mapping, list, runAutomations };
  });
}

/** Another export with the same configuration. What was delivered is not copied: everybody is new to it. */
export async function duplicateExport(
  services: ExportServices,
  actor: User,
  id: string,
  name: string,
): Promise<Export> {
  const parsed = parseExportName(name);
  const now = new Date(services.clock.now());
  return services.database.transact(async ({ manager }) => {
    const original = await findExport(manager, id);
    const copy = {
      ...original,
      id: newId(),
      name: parsed,
      createdAt: now,
      updatedAt: now,
      updatedById: actor.id,
    };
    await manager.insert(Export, copy);
    const uses = await manager.findBy(ExportSegment, { exportId: id });
    await writeSegments(
      manager,
      copy.id,
      uses.map((use) => use.segmentId),
    );
    return copy;
  });
}

/**
 * Takes exports off their connection, all or none: they keep their configuration and do not run; runs under way end.
 * @throws {NotFoundError} if one of them does not exist.
 */
export async function detachExports(
  services: ExportServices,
  actor: User,
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
    return inOrder.map((definition) => ({ ...definition, ...changes }));
  });
}

/**
 * Puts an export on a connection.
 * @param listId a list of the account; left out, the export keeps its list, if the account is the same.
 * @throws as `createExport`; {BadInputError} if the account is another and no list is named.
 */
export async function attachExport(
  services: ExportServices,
  actor: User,
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
  return change(services, actor, id, async ({ manager }) => {
    await assertSameAccount(manager, checked);
    return { connectionId, account: checked.account, list };
  });
}

/** @throws {NotFoundError} */
export async function getExport({ database }: Pick<ExportServices, 'database'>, id: string): Promise<Export> {
  return findExport(database.reader, id);
}

/** Exports, the oldest first. `search` finds in the names of exports and of their connections, and in their kinds. */
export async function listExports(
  { database }: Pick<ExportServices, 'database'>,
  page: PageRequest,
  search?: string | null,
): Promise<Page<Export>> {
  const query = database.reader.createQueryBuilder(Export, 'export');
  if (search) {
    const pattern = `%${search.toLowerCase().replace(/[\\%_]/g, '\\$&')}%`;
    query
      .leftJoin(Connection, 'connection', 'connection.id = export.connectionId')
      .where(
        ['export.name', 'connection.displayName', 'connection.kind']
          .map((column) => `LOWER(${column}) LIKE :pattern ESCAPE '\\'`)
          .join(' OR '),
        { pattern },
      );
  }
  return readPage(query, page, 'ASC');
}

async function findExport(manager: EntityManager, id: string): Promise<Export> {
  const found = await manager.findOneBy(Export, { id });
  if (found === null) throw new NotFoundError('export');
  return found;
}

/** Writes what `work` answers, with who changed it and when, and lets a queued run begin with it. */
async function change(
  services: ExportServices,
  actor: User,
  id: string,
  work: (transaction: Transaction, found: Export) => Promise<Partial<Export>>,
): Promise<Export> {
  return services.database.transact(async (transaction) => {
    const { manager } = transaction;
    const found = await findExport(manager, id);
    const changes = await work(transaction, found);
    const changed = {
      ...found,
      ...changes,
      updatedAt: new Date(services.clock.now()),
      updatedById: actor.id,
    };
    await manager.save(Export, changed);
    await redirectQueuedRun(services, transaction, changed);
    return changed;
  });
}

/** A queued run goes where its export goes by the time it begins. */
async function redirectQueuedRun(
  services: ExportServices,
  transaction: Transaction,
  changed: Export,
): Promise<void> {
  if (changed.connectionId === null) return;
  const { kind, revision } = await findConnection(transaction.manager, changed.connectionId);
  const { affected } = await transaction.manager.update(
    ExportRun,
    { exportId: changed.id, state: ExportRunState.QUEUED },
    {
      connectionId: changed.connectionId,
      connectionRevision: revision,
      kind,
      account: changed.account,
      listId: changed.list.id,
      runAutomations: changed.runAutomations,
    },
  );
  if (affected !== 0) services.queue.ring(transaction, changed.account);
}

async function writeSegments(
  manager: EntityManager,
  exportId: string,
  segmentIds: readonly string[],
): Promise<void> {
  // Looked at again: one of them may have been removed since.
  await parseSegmentIds(manager, segmentIds);
  await manager.delete(ExportSegment, { exportId });
  await manager.insert(
    ExportSegment,
    segmentIds.map((segmentId) => ({ exportId, segmentId })),
  );
}

/** While the list was looked up, the connection may have got another host or key. */
async function assertSameAccount(
  manager: EntityManager,
  { connection, account }: UsableConnection,
): Promise<void> {
  const now = await usableConnection(manager, connection.id);
  if (now.account === account) return;
  throw new ConflictError(
    'The connection was changed a moment ago.',
    'Look at it, and try again.',
    'connectionId',
  );
}

function attachedTo(definition: Export): string {
  if (definition.connectionId !== null) return definition.connectionId;
  throw new ConflictError(
    'The export is detached, so its list cannot be looked up.',
    'Attach it to a connection (attachExport), and name the list there.',
    'listId',
  );
}

function assertStillAttached(definition: Export, { connection }: UsableConnection): void {
  if (definition.connectionId === connection.id) return;
  throw new ConflictError('The export was attached elsewhere a moment ago.', 'Look at it, and try again.');
}
