import { isDeepStrictEqual } from 'node:util';

/** Fields that changed, with what they were and what they are. */
export type Changes = Readonly<Record<string, { readonly old: unknown; readonly new: unknown }>>;

/** Stands for a secret. */
export const HIDDEN = '***';

/**
 * What differs between two states of a thing, in these fields.
 * @param before null: it was made. @param after null: it was removed.
 */
export function changesBetween<T extends object>(
  before: Partial<T> | null,
  after: Partial<T> | null,
  fields: readonly (keyof T & string)[],
): Changes {
  const changed = fields.flatMap((field) => {
    const change = { old: before?.[field] ?? null, new: after?.[field] ?? null };
    return isDeepStrictEqual(change.old, change.new) ? [] : [[field, change] as const];
  });
  return Object.fromEntries(changed);
}
