import { Table, type QueryRunner, type TableColumnOptions } from 'typeorm';

export type ColumnKind = Omit<TableColumnOptions, 'name'>;

export const text: ColumnKind = { type: 'varchar' };
export const optionalText: ColumnKind = { type: 'varchar', isNullable: true };
export const longText: ColumnKind = { type: 'text' };
export const optionalLongText: ColumnKind = { type: 'text', isNullable: true };
export const number: ColumnKind = { type: 'integer' };
export const optionalNumber: ColumnKind = { type: 'integer', isNullable: true };
export const flag: ColumnKind = { type: 'boolean' };
export const textKey: ColumnKind = { type: 'varchar', isPrimary: true };
export const numberKey: ColumnKind = { type: 'integer', isPrimary: true };
export const countedKey: ColumnKind = {
  type: 'integer',
  isPrimary: true,
  isGenerated: true,
  generationStrategy: 'increment',
};

/** Columns of tables, by the names of both. */
export type Tables = Readonly<Record<string, Readonly<Record<string, ColumnKind>>>>;

/** What an index is called, with UNIQUE in front where it is, and what it is on. */
export type Indexes = readonly (readonly [name: string, on: string])[];

export function isPostgres(runner: QueryRunner): boolean {
  return runner.connection.options.type === 'postgres';
}

/**
 * The same kind of column on every database. Text is compared by its bytes: SQLite does so by itself, Postgres by the
 * rules of some language, unless it is told.
 */
export function portable(runner: QueryRunner, kind: ColumnKind): ColumnKind {
  const isText = kind.type === 'varchar' || kind.type === 'text';
  return isText && isPostgres(runner) ? { ...kind, collation: 'C' } : kind;
}

/** @param clustered tables that are read along their key: on SQLite the rows lie in the key's own tree. */
export async function createTables(
  runner: QueryRunner,
  tables: Tables,
  clustered: ReadonlySet<string> = new Set(),
): Promise<void> {
  for (const [name, kinds] of Object.entries(tables)) {
    const columns = Object.entries(kinds).map(([column, kind]) => ({
      name: column,
      ...portable(runner, kind),
    }));
    await runner.createTable(new Table({ name, columns, withoutRowid: clustered.has(name) }));
  }
}

export async function createIndexes(runner: QueryRunner, indexes: Indexes): Promise<void> {
  for (const [name, on] of indexes) {
    const [, unique, bare] = /^(UNIQUE )?(.+)$/.exec(name) ?? [];
    await runner.query(`CREATE ${unique ?? ''}INDEX ${bare ?? name} ON ${on}`);
  }
}
