import type { ColumnOptions } from 'typeorm';

/**
 * A moment, kept as RFC 3339 text in UTC (`2026-11-23T21:26:21.000Z`): the same on every database, sortable as text,
 * readable in a dump.
 */
export const moment: ColumnOptions = {
  type: 'varchar',
  transformer: {
    // TypeORM passes operators such as IsNull() through here too.
    to: (value: unknown) => (value instanceof Date ? value.toISOString() : value),
    from: (value: string | null) => (value === null ? null : new Date(value)),
  },
};

/** A moment that may be missing. */
export const optionalMoment: ColumnOptions = { ...moment, nullable: true };
