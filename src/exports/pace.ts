import type { DestinationLimits, Quota } from '../destinations/destination.js';

/** What a request costs: a batch of several contacts, a batch of one, or any other call. */
export type RequestKind = 'BATCH' | 'SINGLE' | 'CALL';

/** What can wait for a turn. PAIR: two calls in one turn, the second right after the answer to the first. */
export type TurnKind = RequestKind | 'PAIR';

/**
 * When an account may be called next. Three rules for each of its quotas, in which every single is a batch too, and
 * every batch a call:
 *
 * 1. **The quota, whatever the wire does.** The destination counts a request when it arrives: after it began here and
 *    before its answer was here. So a request counts from its begin until a whole window after its *answer*, and the
 *    next begins only when less than the quota count. However they were delayed on their way, no window of the
 *    destination's, sliding or fixed, can then hold more than it allows.
 * 2. **Evenly spaced**, so that others who use the account find room at any time. Slots lie on a grid; a request that
 *    begins a little late (a slow disk, a busy processor) keeps its place on it, and those after it make the lateness
 *    up, at half the interval at the least. Calls as such make up for nothing: their second is short, and others need
 *    it too.
 * 3. **No burst after a pause.** Who is later than `MAX_LATENESS` was not late but away: the grid begins anew.
 *
 * **When the destination refuses nevertheless**, because others use the account too, nothing begins until it may be
 * asked again, and then the grid begins anew. Refused again soon after, the account's pace is lowered: each time to
 * three quarters, down to a quarter. It rises again steadily, twofold in `DOUBLING_WINDOWS`: that slowly, because each
 * refusal by the importer costs a minute. A destination that refuses the very first request after a pause is still out
 * of order: that says nothing of the pace.
 */
export interface Pace {
  /**
   * The first moment at which a request of this kind may begin, as far as is known now, by the monotonic clock, as all
   * moments here; Infinity when that depends on requests that are still under way. A PAIR may begin when the quota has
   * room for both of its calls: if no other request begins meanwhile, the second may begin at any time after the first.
   */
  readonly earliest: (kind: TurnKind) => number;
  /**
   * The same, if these requests begin before it, from now on: at the latest, so that who keeps to it keeps the pace.
   * @param ahead requests that are about to begin.
   */
  readonly earliestBehind: (ahead: readonly TurnKind[], kind: TurnKind, now: number) => number;
  /** Notes that a request begins at `now`. To be told when it has ended: until then it counts. */
  readonly spend: (kind: RequestKind, now: number) => Ended;
  /**
   * The destination refused a request and asks to be left alone: nothing begins before `until`. What was under way
   * when it did so is refused along with it; that counts as one refusal.
   */
  readonly pauseUntil: (until: number) => void;
  /** Until when nothing begins because the destination asked for it; in the past, or -Infinity: it does not now. */
  readonly restsUntil: () => number;
  /** The part of the full pace that the account is called at now: 1, or less after refusals. */
  readonly share: (now: number) => number;
}

/** Notes that a request was answered, or that no answer will come any more. */
export type Ended = (now: number) => void;

/** What is known of the past, so that a worker that takes an account over does not overrun its quotas. */
export interface PastRequest {
  readonly kind: RequestKind;
  /** When it began, or earlier. */
  readonly at: number;
  /** When it was answered, or later. */
  readonly endedAt: number;
}

/** Part of a quota's window: lateness up to this is made up for. */
const MAX_LATENESS = 0.1;
/** Part of the interval that lies between two requests at the least while lateness is made up for. */
const CATCH_UP_GAP = 0.5;
/** A clock's reading may be older than the moment by this much. */
const CLOCK_GRAIN_MS = 1;

const LOWERED_TO = 0.75;
const LOWEST_SHARE = 0.25;
/** In windows of the batches' quota, which are the destination's minutes. */
const SOON_WINDOWS = 10;
const DOUBLING_WINDOWS = 20;

/** Makes the pace of one account. */
export function createPace(limits: DestinationLimits, past: readonly PastRequest[] = []): Pace {
  const lanes: Record<RequestKind, Lane> = {
    BATCH: createLane(limits.batchQuota, limits.batchIntervalMs, CATCH_UP_GAP),
    SINGLE: createLane(limits.singleQuota, limits.singleIntervalMs, CATCH_UP_GAP),
    CALL: createLane(limits.callQuota, limits.callIntervalMs, 1),
  };
  const minuteMs = limits.batchQuota.windowMs;
  let begunAt = 0;
  /** How many requests have begun since the last pause; what was under way when it was asked for is no more of them. */
  let begun = 0;
  let pausedUntil = -Infinity;
  let lowered = { share: 1, at: 0 };

  /** The part of the full pace that the account is called at. */
  const shareAt = (now: number) =>
    Math.min(1, lowered.share * 2 ** (Math.max(0, now - lowered.at) / (DOUBLING_WINDOWS * minuteMs)));

  const spend = (kind: RequestKind, now: number): Ended => {
    begunAt = now;
    if (now >= pausedUntil) begun += 1;
    const counted = LANES_OF[kind].map((lane) => lanes[lane].begin(now, shareAt(now)));
    return (endedAt) => {
      for (const ended of counted) ended(endedAt);
    };
  };

  for (const { kind, at, endedAt } of [...past].sort((a, b) => a.at - b.at)) {
    // Nothing of the past is made up for: it may have held more requests than are known. Nor does it take up slots of the
    // future: many requests may be known to have begun by now, and nothing more of when.
    for (const lane of LANES_OF[kind]) lanes[lane].beginAnew(at);
    spend(kind, at)(endedAt);
  }

  return {
    earliest: (kind) =>
      Math.max(pausedUntil, ...LANES_OF[kind].map((lane) => lanes[lane].earliest(requestsOf(kind)))),
    earliestBehind: (ahead, kind, now) => {
      const behind = LANES_OF[kind].map((lane) => {
        const before = ahead.filter((other) => LANES_OF[other].includes(lane)).map(requestsOf);
        return lanes[lane].earliestBehind(
          before.reduce((sum, requests) => sum + requests, 0),
          now,
          requestsOf(kind),
        );
      });
      return Math.max(pausedUntil, ...behind);
    },
    spend,
    share: shareAt,
    restsUntil: () => pausedUntil,
    pauseUntil: (until) => {
      const isSoon = begunAt - pausedUntil < SOON_WINDOWS * minuteMs;
      if (isSoon && begun > 1) {
        lowered = { share: Math.max(LOWEST_SHARE, shareAt(begunAt) * LOWERED_TO), at: until };
      }
      begun = 0;
      pausedUntil = Math.max(pausedUntil, until);
      for (const lane of Object.values(lanes)) lane.rest(until);
    },
  };
}

/** The quotas that a request uses up. */
const LANES_OF: Record<TurnKind, readonly RequestKind[]> = {
  CALL: ['CALL'],
  PAIR: ['CALL'],
  BATCH: ['CALL', 'BATCH'],
  SINGLE: ['CALL', 'BATCH', 'SINGLE'],
};

function requestsOf(kind: TurnKind): number {
  return kind === 'PAIR' ? 2 : 1;
}

/** One quota, as it stands. */
interface Lane {
  /** @param room how many requests the quota must have room for then. */
  readonly earliest: (room: number) => number;
  /** When as many others are to begin before, from now on. */
  readonly earliestBehind: (before: number, now: number, room: number) => number;
  readonly begin: (now: number, share: number) => Ended;
  /** The grid begins anew then, if it is not later anyway. */
  readonly rest: (until: number) => void;
  /** The grid begins anew then, in any case. */
  readonly beginAnew: (at: number) => void;
}

/** @param minGap from one begin to the next at the least, as a part of the interval. */
function createLane(quota: Quota, intervalMs: number, minGap: number): Lane {
  if (quota.windowMs < CLOCK_GRAIN_MS) return FREE_LANE;
  /** The requests that count, or counted last: as many as the quota allows. */
  const counting: { until: number }[] = [];
  // Long ago: the monotonic clock may be near 0.
  let slotAt = -Infinity;
  let gapEndsAt = -Infinity;

  const firstToEnd = () => Math.min(...counting.map(({ until }) => until));

  /** When the quota has room for so many. A quota that is smaller than that is used up by the first of them. */
  const roomAt = (room: number) => {
    const tooMany = counting.length + Math.min(room, quota.calls) - quota.calls;
    if (tooMany <= 0) return 0;
    const ends = counting.map(({ until }) => until).sort((a, b) => a - b);
    return ends[tooMany - 1] ?? Infinity;
  };

  const earliest = (room: number) => Math.max(slotAt, gapEndsAt, roomAt(room));

  return {
    earliest,

    earliestBehind: (before, now, room) => {
      if (before === 0) return earliest(room);
      const stillCounting = counting.filter(({ until }) => until > now);
      const isFull = stillCounting.length + before + room > quota.calls;
      return isFull ? Infinity : Math.max(slotAt, gapEndsAt, now) + before * intervalMs;
    },

    begin: (now, share) => {
      const spacingMs = intervalMs / share;
      const isLate = now - slotAt <= quota.windowMs * MAX_LATENESS;
      slotAt = (isLate ? slotAt : now) + spacingMs;
      gapEndsAt = now + spacingMs * minGap;
      if (counting.length === quota.calls) {
        const first = firstToEnd();
        counting.splice(
          counting.findIndex(({ until }) => until === first),
          1,
        );
      }
      const request = { until: Infinity };
      counting.push(request);
      return (endedAt) => {
        request.until = endedAt + CLOCK_GRAIN_MS + quota.windowMs;
      };
    },

    rest: (until) => {
      slotAt = Math.max(slotAt, until);
    },

    beginAnew: (at) => {
      slotAt = at;
    },
  };
}

/** A quota of a window that is shorter than a clock shows, at a sandbox in a hurry: nobody can keep or overrun it. */
const FREE_LANE: Lane = {
  earliest: () => 0,
  earliestBehind: () => 0,
  begin: () => () => undefined,
  rest: () => undefined,
  beginAnew: () => undefined,
};
