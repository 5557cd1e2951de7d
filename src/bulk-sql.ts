import type { EntityManager } from 'typeorm';
import type { Scanner } from './database.js';
import type { Dialect } from './dialect.js';
import { POSTGRES } from './postgres-dialect.js';
import { SQLITE } from './sqlite-dialect.js';

/** How the database of a manager says it. */
export function dialectOf({ connection }: Pick<Scanner, 'connection'>): Dialect {
  return connection.options.type === 'postgres' ? POSTGRES : SQLITE;
}

/**
 * Runs a statement that changes rows, inside a transaction.
 * @returns how many rows it changed.
 */
export async function execute(manager: EntityManager, sql: string, parameters: unknown[]): Promise<number> {
  if (manager.queryRunner === undefined) throw new Error('execute needs the manager of a transaction');
  const result = await manager.queryRunner.query(sql, parameters, true);
  return result.affected ?? 0;
}

/** Orders as the database's BINARY collation does: by the bytes of UTF-8, which JavaScript's `<` does not. */
export function compareUtf8(a: string, b: string): number {
  // Code units and bytes agree until a surrogate pair (U+10000 and up) meets U+E000…U+FFFF.
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at += 1) {
    const left = a.charCodeAt(at);
    const right = b.charCodeAt(at);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

function rank(codeUnit: number): number {
  const isSurrogate = codeUnit >= 0xd800 && codeUnit <= 0xdfff;
  return isSurrogate ? codeUnit + 0x10000 : codeUnit;
}
