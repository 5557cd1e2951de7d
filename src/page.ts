import type { ObjectLiteral, SelectQueryBuilder } from 'typeorm';
import { BadInputError } from './errors.js';

/** Which part of a list is asked for: `first` rows (1 to 100) after the row that `after` names. */
export interface PageRequest {
  readonly first?: number | null;
  readonly after?: string | null;
}

/** A part of a list, and how to get the next. */
export interface Page<T> {
  readonly nodes: T[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
  /** How long the whole list is. */
  readonly totalCount: number;
}

export const DEFAULT_FIRST = 50;
export const MAX_FIRST = 100;

/**
 * Reads one page of what `query` selects, by id: a page stays right while rows come and go, and the thousandth costs
 * as much as the first.
 * @throws {BadInputError} for a `first` out of bounds or a cursor that we did not make.
 */
export async function readPage<T extends ObjectLiteral & { id: string | number }>(
  query: SelectQueryBuilder<T>,
  request: PageRequest,
  order: 'ASC' | 'DESC',
): Promise<Page<T>> {
  const first = request.first ?? DEFAULT_FIRST;
  if (!Number.isInteger(first) || first < 1 || first > MAX_FIRST) {
    throw new BadInputError('first', `first is ${first}.`, `Ask for 1 to ${MAX_FIRST} rows at a time.`);
  }
  const counting = query.clone().getCount();
  const alias = query.alias;
  if (request.after !== undefined && request.after !== null) {
    const comparison = order === 'ASC' ? '>' : '<';
    query.andWhere(`${alias}.id ${comparison} :after`, { after: decodeCursor(request.after) });
  }
  const reading = query
    .orderBy(`${alias}.id`, order)
    .limit(first + 1)
    .getMany();
  const [totalCount, rows] = await Promise.all([counting, reading]);
  const nodes = rows.slice(0, first);
  const last = nodes.at(-1);
  return {
    nodes,
    pageInfo: {
      hasNextPage: rows.length > first,
      endCursor: last === undefined ? null : encodeCursor(last.id),
    },
    totalCount,
  };
}

const CURSOR = /^id:(n|s):(.+)$/s;

function encodeCursor(id: string | number): string {
  return Buffer.from(`id:${typeof id === 'number' ? 'n' : 's'}:${id}`).toString('base64url');
}

function decodeCursor(cursor: string): string | number {
  const [, kind, id] = CURSOR.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (id === undefined) {
    throw new BadInputError(
      'after',
      'The cursor is not one of ours.',
      'Pass the endCursor of an earlier page.',
    );
  }
  return kind === 'n' ? Number(id) : id;
}
