import { UsageError } from '../client/failure.js';

/** Where the server is to keep its data: in a file, in a Postgres started for it, or in one that is there. */
export type DatabaseChoice = 'sqlite' | 'postgres' | { readonly url: string };

export const DATABASE_USAGE = `sqlite (default), postgres: one is started and removed again, or postgres://…: a database is made
                     there, and dropped again`;

/** @throws {UsageError} if it is none of them. */
export function readDatabaseChoice(value = 'sqlite'): DatabaseChoice {
  if (value === 'sqlite' || value === 'postgres') return value;
  if (/^postgres(ql)?:\/\//.test(value) && URL.canParse(value)) return { url: value };
  throw new UsageError(`--database wants sqlite, postgres or postgres://…, not "${value}".`);
}
