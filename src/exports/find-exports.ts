import type { EntityManager } from 'typeorm';
import { dialectOf } from '../bulk-sql.js';
import type { Database } from '../database.js';
import { Connection } from '../entities/connection.js';
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

/** Exports, the oldest first. `search` finds in the names of exports and of their connections, and in their kinds. */
export async function listExports(
  { database }: Reads,
  page: PageRequest,
  search?: string | null,
): Promise<Page<Export>> {
  const query = database.reader.createQueryBuilder(Export, 'export');
  if (search && hasVisibleCharacter(search)) {
    const found = JSON.stringify(await findIds(database.reader, search));
    query.andWhere(`export.id IN ${dialectOf(database.reader).list(':found')}`, { found });
  }
  return readPage(query, page, 'ASC');
}

/** Compared in JavaScript: databases differ in how they fold letters, and SQLite knows only those of ASCII. */
async function findIds(reader: EntityManager, search: string): Promise<string[]> {
  const wanted = search.toLowerCase();
  const connections = await reader.find(Connection, { select: { id: true, displayName: true, kind: true } });
  const textOf = new Map(connections.map(({ id, displayName, kind }) => [id, [displayName, kind]]));
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
