import type { EntityManager } from 'typeorm';
import { dialectOf } from '../bulk-sql.js';
import type { Database } from '../database.js';
import { Connection, type ConnectionSharing } from '../entities/connection.js';
import { Export } from '../entities/export.js';
import { NotFoundError } from '../errors.js';
import { hasVisibleCharacter } from '../visible.js';
import { readPage, type Page, type PageRequest } from '../page.js';

interface Reads {
  readonly database: Database;
}

/** @throws {NotFoundError} */
export async function getExport({ database }: Reads, id: string): Promise<Export> {
  return findExport(database.reader, id);
}

/** What `search` looks for, and in the names of which connections: of those that are shared like this. */
export interface ExportSearch {
  readonly text: string;
  readonly namesOf: readonly ConnectionSharing[];
}

/**
 * Exports, the oldest first. `search` finds in the names of exports, in the kinds of their connections, and in the names of
 * those connections that the caller may use.
 */
export async function listExports(
  { database }: Reads,
  page: PageRequest,
  search?: ExportSearch,
): Promise<Page<Export>> {
  const query = database.reader.createQueryBuilder(Export, 'export');
  if (search !== undefined && hasVisibleCharacter(search.text)) {
    const found = JSON.stringify(await findIds(database.reader, search));
    query.andWhere(`export.id IN ${dialectOf(database.reader).list(':found')}`, { found });
  }
  return readPage(query, page, 'ASC');
}

/** Compared in JavaScript: databases differ in how they fold letters, and SQLite knows only those of ASCII. */
async function findIds(reader: EntityManager, { text: search, namesOf }: ExportSearch): Promise<string[]> {
  const wanted = search.toLowerCase();
  const connections = await reader.find(Connection, {
    select: { id: true, displayName: true, kind: true, sharing: true },
  });
  const textOf = new Map(
    connections.map(({ id, displayName, kind, sharing }) => [
      id,
      namesOf.includes(sharing) ? [kind, displayName] : [kind],
    ]),
  );
  const all = await reader.find(Export, { select: { id: true, name: true, connectionId: true } });
  const found = all.filter(({ name, connectionId }) =>
    [name, ...(textOf.get(connectionId ?? '') ?? [])].some((text) => text.toLowerCase().includes(wanted)),
  );
  return found.map(({ id }) => id);
}

/** The export, read by whoever holds the manager. @throws {NotFoundError} */
export async function findExport(manager: EntityManager, id: string): Promise<Export> {
  const found = await manager.findOneBy(Export, { id });
  if (found === null) throw new NotFoundError('export');
  return found;
}
