import type { EntityManager } from 'typeorm';
import { Connection } from '../entities/connection.js';
import { NotFoundError } from '../errors.js';

/** The connection, read by whoever holds the manager: a reader or an open transaction. @throws {NotFoundError} */
export async function findConnection(manager: EntityManager, id: string): Promise<Connection> {
  const connection = await manager.findOneBy(Connection, { id });
  if (connection === null) throw new NotFoundError('connection');
  return connection;
}
