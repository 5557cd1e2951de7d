import type { EntityMetadata } from 'typeorm';

/** A table, as far as moving it needs to know. */
export interface MovedTable {
  readonly name: string;
  readonly columns: readonly MovedColumn[];
  /** The columns by which its rows are told apart, and in whose order they are read. */
  readonly key: readonly string[];
  /** The column that the database counts by itself. */
  readonly counted: string | undefined;
  /** Migrations write into it: of a fresh database it is not empty, and what they wrote is replaced. */
  readonly filledByMigrations: boolean;
}

export interface MovedColumn {
  readonly name: string;
  /** SQLite keeps 0 and 1, Postgres false and true. */
  readonly isFlag: boolean;
}

/**
 * Every table that an entity describes: a new entity moves without a word here.
 * @param filledByMigrations the entities into whose tables migrations write.
 */
export function tablesOf(
  entities: readonly EntityMetadata[],
  filledByMigrations: readonly EntityMetadata['target'][],
): MovedTable[] {
  return entities.map((entity) => ({
    name: entity.tableName,
    columns: entity.columns.map(({ databaseName, type }) => ({
      name: databaseName,
      isFlag: type === 'boolean',
    })),
    key: entity.primaryColumns.map(({ databaseName }) => databaseName),
    counted: entity.generatedColumns[0]?.databaseName,
    filledByMigrations: filledByMigrations.includes(entity.target),
  }));
}

/** Names as a list in SQL. */
export function quoted(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ');
}

export function columnsOf({ columns }: MovedTable): string {
  return quoted(columns.map(({ name }) => name));
}
