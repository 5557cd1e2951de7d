import type { Database } from '../database.js';
import { Profile } from '../entities/profile.js';

/** How many profiles there are. */
export function countProfiles({ database }: { readonly database: Database }): Promise<number> {
  return database.reader.count(Profile);
}
