import type { EntityManager } from 'typeorm';
import type { Database } from '../database.js';
import { Connection } from '../entities/connection.js';
import { Export } from '../entities/export.js';
import { NotFoundError } from '../errors.js';
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

/** The export, read by whoever holds the manager. @throws {NotFoundError} */
export async function findExport(manager: EntityManager, id: string): Promise<Export> {
  const found = await manager.findOneBy(Export, { id });
  if (found === null) throw new NotFoundError('export');
  return found;
}
