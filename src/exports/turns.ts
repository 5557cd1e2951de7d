import type { Clock } from '../clock.js';
import type { Pace, RequestKind } from './pace.js';

/** A request that waits for its turn. */
export interface TurnRequest {
  readonly kind: RequestKind;
  /** Lower goes first; asked again whenever a turn is given, because it changes while a run goes on. */
  readonly priority: () => number;
  /** Gives the wait up. */
  readonly signal: AbortSignal;
  /**
   * What is to be done in the turn, right before the request begins: committing its intent. Nobody else's turn comes
   * meanwhile, and the pace counts from the end of it: on a busy disk requests would else pile up and go out together.
   */
  readonly prepare?: () => Promise<void>;
}

/** Gives the turns of one account to the requests of all its runs. */
export interface Turns {
  /**
   * Waits until the account's pace allows the request and nobody more urgent waits, then performs it.
   * @throws the signal's reason if it aborts before the turn came; a request that has begun is not broken off.
   */
  readonly take: <T>(request: TurnRequest, perform: () => Promise<T>) => Promise<T>;
}

/** Requests under way at once: enough to hide latency, few enough to stop quickly. */
const MAX_IN_FLIGHT = 4;

interface Waiter extends TurnRequest {
  readonly begin: () => void;
}

export function createTurns(pace: Pace, clock: Clock): Turns {
  const waiting = new Set<Waiter>();
  let inFlight = 0;
  /** Somebody has the turn and has not begun yet. */
  let isPreparing = false;
  let alarm: AbortController | undefined;

  /** Gives one turn, if one may be given; whoever has it gives the next as soon as its request begins. */
  const give = () => {
    alarm?.abort();
    alarm = undefined;
    if (inFlight === MAX_IN_FLIGHT || isPreparing) return;
    const now = clock.now();
    const next = mostUrgent([...waiting].filter((waiter) => pace.earliest(waiter.kind) <= now));
    if (next === undefined) {
      if (waiting.size > 0) wakeAtNextSlot();
      return;
    }
    waiting.delete(next);
    inFlight += 1;
    isPreparing = true;
    next.begin();
  };

  const wakeAtNextSlot = () => {
    const at = Math.min(...[...waiting].map((waiter) => pace.earliest(waiter.kind)));
    alarm = new AbortController();
    clock.sleep(Math.max(0, at - clock.now()), alarm.signal).then(give, () => {
      // Set again by whoever aborted it.
    });
  };

  const turn = (request: TurnRequest) =>
    new Promise<void>((resolve, reject) => {
      const giveUp = () => {
        waiting.delete(waiter);
        reject(request.signal.reason as Error);
      };
      const waiter: Waiter = {
        ...request,
        begin: () => {
          request.signal.removeEventListener('abort', giveUp);
          resolve();
        },
      };
      if (request.signal.aborted) {
        giveUp();
        return;
      }
      request.signal.addEventListener('abort', giveUp, { once: true });
      waiting.add(waiter);
      give();
    });

  const prepare = async (request: TurnRequest) => {
    try {
      await request.prepare?.();
      pace.spend(request.kind, clock.now());
    } finally {
      isPreparing = false;
    }
    give();
  };

  return {
    take: async (request, perform) => {
      await turn(request);
      try {
        await prepare(request);
        return await perform();
      } finally {
        inFlight -= 1;
        give();
      }
    },
  };
}

/** Batches before other calls: they have a narrower pace of their own, so they never starve the questions. */
function mostUrgent(waiters: Waiter[]): Waiter | undefined {
  const rank = (waiter: Waiter) => (waiter.kind === 'CALL' ? 1 : 0);
  return waiters.reduce<Waiter | undefined>((best, waiter) => {
    if (best === undefined) return waiter;
    const difference = waiter.priority() - best.priority() || rank(waiter) - rank(best);
    return difference < 0 ? waiter : best;
  }, undefined);
}
