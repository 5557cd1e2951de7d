import type { DestinationLimits } from '../destinations/destination.js';

/** What a request costs: a batch of several contacts, a batch of one, or any other call. */
export type RequestKind = 'BATCH' | 'SINGLE' | 'CALL';

/**
 * When an account may be called next. The destination counts calls over a minute and over a second, for everybody who
 * uses the account; evenly spaced calls at the destination's own limits never break either, whichever way its windows
 * slide. Each call is spaced from the moment at which the one before it really began: making up for one that began late
 * would put 101 batches into the minute that starts with it, and the refusal costs another minute.
 */
export interface Pace {
  /** The first moment (ms since 1970) at which a request of this kind may begin. */
  readonly earliest: (kind: RequestKind) => number;
  /** Notes that a request begins at `now`. */
  readonly spend: (kind: RequestKind, now: number) => void;
  /** Nothing begins before `until`: the destination asked to be left alone. */
  readonly pauseUntil: (until: number) => void;
}

/** What is known of the past, so that a worker that takes an account over does not overrun its quotas. */
export interface PastRequest {
  readonly kind: RequestKind;
  readonly at: number;
}

/** Makes the pace of one account. */
export function createPace(limits: DestinationLimits, past: readonly PastRequest[] = []): Pace {
  const intervals: Record<RequestKind, number> = {
    BATCH: limits.batchIntervalMs,
    SINGLE: limits.singleIntervalMs,
    CALL: limits.callIntervalMs,
  };
  const nextAt: Record<RequestKind, number> = { BATCH: 0, SINGLE: 0, CALL: 0 };
  let pausedUntil = 0;

  /** A single is a batch too, and every batch is a call: each spends the slots of all that it is. */
  const slotsOf = (kind: RequestKind): RequestKind[] =>
    kind === 'CALL' ? ['CALL'] : kind === 'BATCH' ? ['CALL', 'BATCH'] : ['CALL', 'BATCH', 'SINGLE'];

  const earliest = (kind: RequestKind) => Math.max(pausedUntil, ...slotsOf(kind).map((slot) => nextAt[slot]));

  const spend = (kind: RequestKind, now: number) => {
    for (const slot of slotsOf(kind)) nextAt[slot] = now + intervals[slot];
  };

  for (const request of [...past].sort((a, b) => a.at - b.at)) spend(request.kind, request.at);

  return {
    earliest,
    spend,
    pauseUntil: (until) => {
      pausedUntil = Math.max(pausedUntil, until);
    },
  };
}
