import type { EntityManager } from 'typeorm';

/**
 * Does the work and counts the statements that it makes through the manager: TypeORM asks for a query runner for each one
 * outside a transaction.
 */
export async function countStatements<T>(
  { connection }: EntityManager,
  work: () => Promise<T>,
): Promise<{ result: T; statements: number }> {
  let statements = 0;
  const create = connection.createQueryRunner.bind(connection);
  connection.createQueryRunner = (...mode) => {
    statements += 1;
    return create(...mode);
  };
  try {
    return { result: await work(), statements };
  } finally {
    connection.createQueryRunner = create;
  }
}
