import type { Clock } from '../clock.js';
import type { Database } from '../database.js';
import type { Destination } from '../destinations/destination.js';
import type { DestinationKind } from '../entities/connection.js';
import type { HostPolicy } from '../security/hosts.js';
import type { SecretBox } from '../security/secret-box.js';
import type { Asking } from './asking.js';
import type { ConsentRules } from './consent-statements.js';

/** What the functions of this folder need. Most need only some of it and say which with `Pick`. */
export interface ConnectionServices {
  readonly database: Database;
  readonly clock: Clock;
  readonly secretBox: SecretBox;
  readonly destinations: Readonly<Record<DestinationKind, Destination>>;
  readonly hostPolicy: HostPolicy;
  readonly consentRules: ConsentRules;
  readonly asking: Asking;
}
