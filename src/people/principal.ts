import type { User } from '../entities/user.js';

/** Somebody whom a door has let in, and how long that holds. */
export interface Principal {
  readonly user: User;
  /** The API token that was shown; null: a token of the issuer. */
  readonly apiTokenId: string | null;
  /** When what was shown ends by itself; null: never. */
  readonly endsAt: Date | null;
}
