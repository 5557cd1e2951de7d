import type { SignedInActor } from '../audit/record.js';
import type { User } from '../entities/user.js';
import type { Principal } from '../people/principal.js';
import { createLoaders, type Loaders } from './loaders.js';
import type { Services } from './services.js';

/** What every resolver gets: who asks, what the server is made of, and the look-ups of this request. */
export interface Context {
  readonly user: User;
  /** The same, as the audit trail names them. */
  readonly actor: SignedInActor;
  readonly services: Services;
  readonly loaders: Loaders;
}

/** For one request or one subscription of somebody whom a door has let in. @param address where it came from. */
export function createContext(services: Services, { user }: Principal, address: string | null): Context {
  const actor = { id: user.id, address };
  return { user, actor, services, loaders: createLoaders(services.database.reader) };
}
