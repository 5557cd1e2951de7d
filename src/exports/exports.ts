import type { SignedInActor } from '../audit/record.js';
import { Export, ExportSegment, type LeaverPolicy, type Mapping } from '../entities/export.js';
import { ConflictError } from '../errors.js';
import { newId } from '../ids.js';
import { parseName } from '../names.js';
import { auditedExport, auditExport } from './audit-exports.js';
import { assertSameAccount, changeExport, writeSegments, type ExportServices } from './change-export.js';
import {
  findList,
  parseHoldPercent,
  parseMapping,
  parseSegmentIds,
  usableConnection,
  type UsableConnection,
} from './export-input.js';
import { findExport, getExport } from './find-exports.js';

export interface NewExport {
  readonly name: string;
  readonly connectionId: string;
  readonly listId: string;
  readonly segmentIds: readonly string[];
  readonly mapping: Mapping;
  readonly leavers: LeaverPolicy;
  readonly leaverHoldPercent: number;
  readonly runAutomations: boolean;
}

/** What is left out, or null, stays as it is. */
export interface ExportChanges {
  readonly name?: string | null;
  readonly listId?: string | null;
  readonly segmentIds?: readonly string[] | null;
  readonly mapping?: Mapping | null;
  readonly leavers?: LeaverPolicy | null;
  readonly leaverHoldPercent?: number | null;
  readonly runAutomations?: boolean | null;
}

/**
 * Makes an export. Runs nothing.
 * @throws {NotFoundError}, {BadInputError} for an unknown list, segment or attribute, {ConsentRequiredError},
 *   {ConnectionFailedError}.
 */
export async function createExport(
  services: ExportServices,
  actor: SignedInActor,
  input: NewExport,
): Promise<Export> {
  const { reader } = services.database;
  const name = parseName('name', input.name);
  const leaverHoldPercent = parseHoldPercent(input.leaverHoldPercent);
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
    leavers: input.leavers,
    leaverHoldPercent,
    runAutomations: input.runAutomations,
    createdAt: now,
    updatedAt: now,
    updatedById: actor.id,
  };
  await services.database.transact(async ({ manager }) => {
    await assertSameAccount(manager, checked);
    await manager.insert(Export, created);
    await writeSegments(manager, created.id, segmentIds);
    const event = { at: now, actor, action: 'createExport' };
    await auditExport(manager, event, null, await auditedExport(manager, created));
  });
  return created;
}

/**
 * Changes an export. Runs nothing; a run under way goes on as it began, a queued one begins with the changes.
 * @throws as `createExport`.
 */
export async function updateExport(
  services: ExportServices,
  actor: SignedInActor,
  id: string,
  changes: ExportChanges,
): Promise<Export> {
  const { reader } = services.database;
  const before = await getExport(services, id);
  const name = ifGiven(changes.name, (text) => parseName('name', text));
  const leaverHoldPercent = ifGiven(changes.leaverHoldPercent, parseHoldPercent);
  const mapping = await ifGiven(changes.mapping, (input) => parseMapping(services, input));
  const segmentIds = await ifGiven(changes.segmentIds, (ids) => parseSegmentIds(reader, ids));
  const moved = await ifGiven(changes.listId, async (listId) => {
    const checked = await usableConnection(reader, attachedTo(before));
    return { checked, list: await findList(services, checked.connection, listId) };
  });
  return changeExport(services, actor, 'updateExport', id, async (transaction, found) => {
    if (moved !== undefined) {
      await assertSameAccount(transaction.manager, moved.checked);
      assertStillAttached(found, moved.checked);
    }
    if (segmentIds !== undefined) await writeSegments(transaction.manager, id, segmentIds);
    // What was not asked for stays as it is now: somebody may have changed it since `before`.
    return {
      name: name ?? found.name,
      mapping: mapping ?? found.mapping,
      list: moved?.list ?? found.list,
      leavers: changes.leavers ?? found.leavers,
      leaverHoldPercent: leaverHoldPercent ?? found.leaverHoldPercent,
      runAutomations: changes.runAutomations ?? found.runAutomations,
    };
  });
}

/** Another export with the same configuration. What was delivered is not copied: everybody is new to it. */
export async function duplicateExport(
  services: ExportServices,
  actor: SignedInActor,
  id: string,
  name: string,
): Promise<Export> {
  const parsed = parseName('name', name);
  const now = new Date(services.clock.now());
  return services.database.transact(async ({ manager }) => {
    const original = await findExport(manager, id);
    const own = { id: newId(), name: parsed, createdAt: now, updatedAt: now, updatedById: actor.id };
    const copy = Object.assign(original, own);
    await manager.insert(Export, copy);
    const uses = await manager.findBy(ExportSegment, { exportId: id });
    await writeSegments(
      manager,
      copy.id,
      uses.map((use) => use.segmentId),
    );
    const event = { at: now, actor, action: 'duplicateExport' };
    await auditExport(manager, event, null, await auditedExport(manager, copy));
    return copy;
  });
}

function ifGiven<I, O>(input: I | null | undefined, parse: (input: I) => O): O | undefined {
  return input === null || input === undefined ? undefined : parse(input);
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
