import { PostgresQueryRunner } from 'typeorm/driver/postgres/PostgresQueryRunner.js';
import { AbstractSqliteQueryRunner } from 'typeorm/driver/sqlite-abstract/AbstractSqliteQueryRunner.js';
import { SqliteQueryRunner } from 'typeorm/driver/sqlite/SqliteQueryRunner.js';

/** Every statement that servers of this process make, in their order, until it is closed. */
export interface StatementLog extends Disposable {
  /** Those that begin like this. */
  readonly beginning: (text: string) => readonly string[];
}

/** @example using log = openStatementLog(); */
export function openStatementLog(): StatementLog {
  const statements: string[] = [];
  const undo = [PostgresQueryRunner, SqliteQueryRunner, AbstractSqliteQueryRunner].flatMap(
    ({ prototype }) => {
      if (!Object.hasOwn(prototype, 'query')) return [];
      const query = Reflect.get(prototype, 'query') as (sql: string, ...more: unknown[]) => unknown;
      Reflect.set(prototype, 'query', function (this: unknown, sql: string, ...more: unknown[]) {
        statements.push(sql);
        return query.call(this, sql, ...more);
      });
      return [() => Reflect.set(prototype, 'query', query)];
    },
  );
  return {
    beginning: (text) => statements.filter((sql) => sql.startsWith(text)),
    [Symbol.dispose]: () => {
      for (const restore of undo) restore();
    },
  };
}
