import type { Clock } from '../clock.js';
import type { Ended, Pace, TurnKind } from './pace.js';

/** A request that waits for its turn. */
export interface TurnRequest {
  readonly kind: TurnKind;
  /**
   * Lower goes first; asked again whenever a turn is given, because it changes while a run goes on. Requests with the same
   * function and kind go in the order in which they came.
   */
  readonly priority: () => number;
  /** Gives the wait up. */
  readonly signal: AbortSignal;
  /**
   * What is to be done in the turn, right before the request begins: committing its intent. The pace counts from the
   * begin, and nobody else's turn comes meanwhile, unless its slot is as near: on a busy disk requests would else pile up
   * and go out together.
   */
  readonly prepare?: () => Promise<void>;
}

/** Gives the turns of one account to the requests of all its runs. */
export interface Turns {
  /**
   * Waits until the account's pace allows the request and nobody more urgent waits, then performs it. A turn of two
   * calls (kind PAIR) begins when the quota has room for both, and no other request of the account begins before the
   * second one, or before the turn ends without a second one.
   * @param perform makes the request. In a turn of two calls it asks `second` right before the second one begins.
   * @throws the signal's reason if it aborts before the turn came; a request that has begun is not broken off.
   */
  readonly take: <T>(request: TurnRequest, perform: (second: Second) => Promise<T>) => Promise<T>;
}

/**
 * Notes that the first call of a turn was answered and the second begins now, so that both count against the quota.
 * @returns false if the second must not begin, because the destination has asked to be left alone since the first began.
 */
export type Second = () => boolean;

/** Requests under way at once: enough to hide latency, few enough to stop quickly. */
const MAX_IN_FLIGHT = 16;

/**
 * Requests whose slots come this soon one after the other are prepared together, so that they share a commit: only at a
 * sandbox in a hurry, for real slots lie a quarter of a second apart.
 */
const TOGETHER_MS = 20;

/**
 * Batches go before questions about others, but no more than so many while one waits: where no pace holds them back,
 * thousands of outcomes would else be asked for at the very end. Real slots leave room for a question behind each batch.
 */
const MAX_BATCHES_IN_A_ROW = 1;

/** How much of the mean time of preparing the last one makes up. */
const LAST_WEIGHT = 1 / 8;

interface Waiter extends TurnRequest {
  /** @param at when its request may begin. */
  readonly give: (at: number) => void;
}

interface Turn {
  /** When its request may begin. */
  readonly at: number;
  readonly waiter: Waiter;
}

export function createTurns(pace: Pace, clock: Clock): Turns {
  const waiting = createQueue();
  let inFlight = 0;
  let batchesInARow = 0;
  /** Who has a turn and has not begun yet. */
  const preparing: TurnKind[] = [];
  /** The turn of two calls whose second call has not begun: until then nobody else gets a turn. */
  let holder: Waiter | undefined;
  /** How long preparing takes, on average: turns come this much earlier, so that it does not slow the pace down. */
  let preparingMs = 0;
  let alarm: AbortController | undefined;

  /** Gives the turns that may be given; whoever has one gives the next as soon as its request begins. */
  const give = () => {
    alarm?.abort();
    alarm = undefined;
    const now = clock.monotonic();
    for (let first = waiting.first(); inFlight < MAX_IN_FLIGHT && first.length > 0; first = waiting.first()) {
      if (holder !== undefined) return;
      const readyAt = {
        BATCH: pace.earliestBehind(preparing, 'BATCH', now),
        SINGLE: pace.earliestBehind(preparing, 'SINGLE', now),
        CALL: pace.earliestBehind(preparing, 'CALL', now),
        PAIR: pace.earliestBehind(preparing, 'PAIR', now),
      };
      const lead = preparing.length > 0 ? TOGETHER_MS : preparingMs;
      const turnAt = ({ kind, prepare }: Waiter) => readyAt[kind] - (prepare === undefined ? 0 : lead);
      const next = mostUrgent(
        first.filter((waiter) => turnAt(waiter) <= now),
        batchesInARow < MAX_BATCHES_IN_A_ROW ? 'BATCHES' : 'QUESTIONS',
      );
      if (next === undefined) {
        if (preparing.length === 0) wakeAt(Math.min(...first.map(turnAt)));
        return;
      }
      // Those who are preparing would begin between its calls: their begin gives the next turn.
      if (next.kind === 'PAIR' && preparing.length > 0) return;
      if (next.kind === 'PAIR') holder = next;
      waiting.delete(next);
      batchesInARow = isQuestion(next.kind) ? 0 : batchesInARow + 1;
      inFlight += 1;
      preparing.push(next.kind);
      next.give(readyAt[next.kind]);
    }
  };

  /** At Infinity nobody waits, or for the end of a request that is under way, which gives the next turn anyway. */
  const wakeAt = (at: number) => {
    if (at === Infinity) return;
    alarm = new AbortController();
    clock.sleep(Math.max(0, at - clock.monotonic()), alarm.signal).then(give, () => {
      // Set again by whoever aborted it.
    });
  };

  const turn = (request: TurnRequest) =>
    new Promise<Turn>((resolve, reject) => {
      const giveUp = () => {
        waiting.delete(waiter);
        reject(request.signal.reason as Error);
      };
      const waiter: Waiter = {
        ...request,
        give: (at) => {
          request.signal.removeEventListener('abort', giveUp);
          resolve({ at, waiter });
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

  /** Nothing that comes in between puts the request off any more: its intent is committed. */
  const begin = async (request: TurnRequest, at: number): Promise<Ended> => {
    try {
      if (request.prepare !== undefined) {
        const startedAt = clock.monotonic();
        await request.prepare();
        preparingMs += (clock.monotonic() - startedAt - preparingMs) * LAST_WEIGHT;
      }
      // More than once: timers can be early by a fraction of a millisecond.
      for (let now = clock.monotonic(); now < at; now = clock.monotonic()) await clock.sleep(at - now);
    } finally {
      preparing.splice(preparing.indexOf(request.kind), 1);
    }
    const ended = spend(request.kind);
    give();
    return ended;
  };

  const spend = (kind: TurnKind): Ended => pace.spend(kind === 'PAIR' ? 'CALL' : kind, clock.monotonic());

  return {
    take: async (request, perform) => {
      const { at, waiter } = await turn(request);
      let ended: Ended | undefined;
      const letOthers = () => {
        if (holder === waiter) holder = undefined;
        give();
      };
      const second = () => {
        if (pace.restsUntil() > clock.monotonic()) return false;
        ended?.(clock.monotonic());
        ended = spend('CALL');
        letOthers();
        return true;
      };
      try {
        ended = await begin(request, at);
        return await perform(second);
      } finally {
        ended?.(clock.monotonic());
        inFlight -= 1;
        letOthers();
      }
    },
  };
}

function isQuestion(kind: TurnKind): boolean {
  return kind === 'CALL' || kind === 'PAIR';
}

/** Thousands can wait; only the first of each run and kind are ever compared. */
function createQueue() {
  const lines = new Map<TurnRequest['priority'], Map<TurnKind, Set<Waiter>>>();
  return {
    add: (waiter: Waiter) => {
      const kinds = lines.get(waiter.priority) ?? new Map<TurnKind, Set<Waiter>>();
      lines.set(waiter.priority, kinds);
      const line = kinds.get(waiter.kind) ?? new Set();
      kinds.set(waiter.kind, line.add(waiter));
    },
    delete: (waiter: Waiter) => {
      const kinds = lines.get(waiter.priority);
      const line = kinds?.get(waiter.kind);
      line?.delete(waiter);
      if (line?.size === 0) kinds?.delete(waiter.kind);
      if (kinds?.size === 0) lines.delete(waiter.priority);
    },
    first: (): Waiter[] => [...lines.values()].flatMap((kinds) => [...kinds.values()].flatMap(firstOf)),
  };
}

function firstOf(line: ReadonlySet<Waiter>): Waiter[] {
  for (const waiter of line) return [waiter];
  return [];
}

/** The least is left to do for it; of as many, what is to go first. */
function mostUrgent(waiters: readonly Waiter[], first: 'BATCHES' | 'QUESTIONS'): Waiter | undefined {
  const rank = ({ kind }: Waiter) => (isQuestion(kind) === (first === 'QUESTIONS') ? 0 : 1);
  return waiters.reduce<Waiter | undefined>((best, waiter) => {
    if (best === undefined) return waiter;
    const difference = waiter.priority() - best.priority() || rank(waiter) - rank(best);
    return difference < 0 ? waiter : best;
  }, undefined);
}
