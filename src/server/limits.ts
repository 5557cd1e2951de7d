/**
 * What the doors let through, all figures in one place. They are no settings: clients rely on them, and SECURITY.md
 * promises them. What depends on who uses the server (rates, origins, proxies) is in config.ts.
 */
export interface DoorLimits {
  /** How deep the fields of an operation may be nested. */
  readonly depth: number;
  /** How many fields of an operation may have another name than their own. */
  readonly aliases: number;
  /** How many words and signs a GraphQL document may have. */
  readonly tokens: number;
  /** What an operation may cost, in fields answered at most (see query-cost.ts). */
  readonly cost: number;
  /** The body of a GraphQL request. */
  readonly requestBytes: number;
  /** A message over WebSocket. */
  readonly messageBytes: number;
  readonly subscriptionsPerSocket: number;
  readonly socketsPerPrincipal: number;
  /** How long a socket may stay open without a connection_init. */
  readonly connectionInitMs: number;
  /** From one ping to the next. A socket whose pong has not come by the next ping is cut. */
  readonly pingIntervalMs: number;
  /** A socket that sends while it leaves this much unread is cut. */
  readonly unreadBytes: number;
  /** From the start of a connection or request to the end of its headers. */
  readonly headersMs: number;
  /** From the end of the headers to the end of the body; imports have the next two instead. */
  readonly bodyMs: number;
  /** An import of any size may take as long as it takes, but in each window … */
  readonly importWindowMs: number;
  /** … at least this much must arrive. */
  readonly importBytesPerWindow: number;
}

export const DOOR_LIMITS: DoorLimits = {
  depth: 10,
  aliases: 15,
  tokens: 1_000,
  cost: 10_000,
  requestBytes: 100_000,
  messageBytes: 64 * 1_024,
  subscriptionsPerSocket: 20,
  socketsPerPrincipal: 100,
  connectionInitMs: 3_000,
  pingIntervalMs: 12_000,
  unreadBytes: 1_000_000,
  headersMs: 10_000,
  bodyMs: 30_000,
  importWindowMs: 30_000,
  importBytesPerWindow: 1_000,
};
