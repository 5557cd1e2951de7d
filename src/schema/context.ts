import type { User } from '../entities/user.js';
import { createLoaders, type Loaders } from './loaders.js';
import type { Services } from './services.js';

/** What every resolver gets: who asks, what the server is made of, and the look-ups of this request. */
export interface Context {
  readonly actor: User;
  readonly services: Services;
  readonly loaders: Loaders;
}

/** For one request or one subscription of somebody whom a door has let in. */
export function createContext(services: Services, actor: User): Context {
  return { actor, services, loaders: createLoaders(services.database.reader) };
}

/**
 * Who acts. Every resolver asks here first. The doors let nobody in without a token, and administrators, who may do
 * everything, are the only users there are.
 */
export function authorise(context: Context): User {
  return context.actor;
}
