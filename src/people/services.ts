import type { Clock } from '../clock.js';
import type { Database } from '../database.js';
import type { Logger } from '../logger.js';
import type { Issuer } from './issuer.js';
import type { Sessions } from './sessions.js';

/** What the care for people needs. */
export interface PeopleServices {
  readonly database: Database;
  readonly clock: Clock;
  readonly sessions: Sessions;
}

/** What letting people in needs. */
export interface SignInServices {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Who vouches for people with JWTs; undefined: nobody. */
  readonly issuer?: Issuer | undefined;
}
