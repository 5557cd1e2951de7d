import type { Clock } from '../clock.js';
import type { Logger } from '../logger.js';
import { createActiveCampaign } from './active-campaign/active-campaign.js';
import type { Destination } from './destination.js';
import { createHttp, type StartDeadline } from './http.js';
import { measured, type OnCall } from './measured.js';

/** The destinations by the kind of a connection. */
export interface Destinations {
  readonly ACTIVE_CAMPAIGN: Destination;
}

export interface DestinationOptions {
  /** Domains below which accounts live. */
  readonly suffixes: readonly string[];
  /** `host:port` of sandboxes, spoken to over plain http. */
  readonly sandboxHosts: readonly string[];
  /** How many times faster time passes at the sandboxes. */
  readonly sandboxTimeScale: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Breaks off every request: the process is stopping. */
  readonly stopping?: AbortSignal;
  /** How long a destination may take for an answer; by default as http.ts has it. */
  readonly timeoutMs?: number;
  /** Starts that time; by default a timer of the machine. */
  readonly startDeadline?: StartDeadline | undefined;
  /** Is told of every call that has ended. */
  readonly onCall?: OnCall;
}

/** Every destination that there is, each made once. A new one is added here. */
export function createDestinations(options: DestinationOptions): Destinations {
  const { clock, suffixes, sandboxHosts, sandboxTimeScale, onCall } = options;
  const http = createHttp(options);
  const timeScaleOf = (host: string) => (sandboxHosts.includes(host) ? sandboxTimeScale : 1);
  const activeCampaign = createActiveCampaign({ http, clock, suffixes, timeScaleOf });
  return {
    ACTIVE_CAMPAIGN: onCall === undefined ? activeCampaign : measured(activeCampaign, clock, onCall),
  };
}
