import type { Database } from '../database.js';
import { User } from '../entities/user.js';

/** The user, or null if there is none by that id. */
export async function getUser(services: { database: Database }, id: string): Promise<User | null> {
  return services.database.reader.findOneBy(User, { id });
}
