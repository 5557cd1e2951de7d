import type { Clock } from '../clock.js';
import { RetryLaterError } from '../destinations/destination.js';
import { ConflictError, RateLimitedError } from '../errors.js';
import type { WorkedAccounts } from './account-turns.js';
import type { CallSlots } from './call-slots.js';

/** Where a request of a caller goes. */
export interface Place {
  /** The account; undefined: it is not known yet, and the host stands for it. */
  readonly account: string | undefined;
  readonly host: string;
  /** The window of the account's quota of calls, in ms as they pass here. */
  readonly windowMs: number;
}

/**
 * The requests that people and programs cause by asking (`destinationLists`, `connect`, `planExport`), beside those of
 * runs. All of them together are one request in each window of the account's quota (a second), counted from the answer to
 * the next begin; from the same account they go one after the other, across all processes.
 *
 * Where this process works the account, they take part in its turns, before the requests of the runs. Elsewhere they
 * share one slot (call-slots.ts), for which the worker leaves room in the quota.
 */
export interface CallerTurns {
  /**
   * Waits for a turn, then performs the request.
   * @throws {RateLimitedError} when too many wait, or the turn does not come in time; {ConflictError} when the server stops
   *   meanwhile. Nothing was sent then.
   */
  readonly take: <T>(place: Place, perform: () => Promise<T>) => Promise<T>;
}

/** Requests that wait for one account; each of them is somebody who waits for an answer. */
const MAX_WAITING = 20;
const MAX_WAIT_MS = 20_000;
/** Other processes are looked at again this often, while one of them has the slot. */
const LOOK_MS = 100;
/** A window that is shorter than a clock shows, at a sandbox in a hurry, is nothing that one could wait for. */
const SHORTEST_WINDOW_MS = 1;

interface Line {
  waiting: number;
  /** Resolves when everybody who came before has had a turn or given up. */
  last: Promise<unknown>;
  /** Not before this moment of the monotonic clock. */
  freeAt: number;
}

export function createCallerTurns(services: {
  readonly clock: Clock;
  readonly worked: WorkedAccounts;
  readonly slots: CallSlots;
  /** Aborts when the server stops: nobody waits any longer. */
  readonly closing: AbortSignal;
}): CallerTurns {
  const { clock, worked, slots, closing } = services;
  const lines = new Map<string, Line>();

  /** Lines that say nothing any more are forgotten when a new one begins. */
  const lineAt = (name: string): Line => {
    const known = lines.get(name);
    if (known !== undefined) return known;
    const now = clock.monotonic();
    for (const [other, { waiting, freeAt }] of lines) if (waiting === 0 && freeAt <= now) lines.delete(other);
    const line = { waiting: 0, last: Promise.resolve(), freeAt: -Infinity };
    lines.set(name, line);
    return line;
  };

  const reserve = async (name: string, wait: Wait) => {
    for (;;) {
      const slot = await slots.reserve(name);
      if ('free' in slot) return slot;
      await clock.sleep(Math.min(Math.max(slot.busyMs, 1), LOOK_MS), wait.begin());
    }
  };

  /** @param wait ends when the request begins: it is not broken off any more. */
  const performIn = async <T>(
    line: Line,
    place: Place,
    perform: () => Promise<T>,
    wait: Wait,
  ): Promise<T> => {
    const restsMs = line.freeAt - clock.monotonic();
    if (restsMs > MAX_WAIT_MS) throw busy(restsMs);
    if (restsMs > 0) await clock.sleep(restsMs, wait.begin());
    const here = place.account === undefined ? undefined : worked.turnsOf(place.account);
    let restMs = place.windowMs < SHORTEST_WINDOW_MS ? 0 : place.windowMs;
    const request = async () => {
      wait.end();
      try {
        return await perform();
      } catch (error: unknown) {
        if (error instanceof RetryLaterError && error.tooFast) {
          restMs = Math.max(restMs, error.afterMs ?? restMs);
          here?.pause(restMs);
        }
        throw error;
      } finally {
        line.freeAt = clock.monotonic() + restMs;
      }
    };
    if (here !== undefined) return here.take(request, wait.begin());
    const slot = await reserve(nameOf(place), wait);
    try {
      return await request();
    } finally {
      // If it fails, the reservation ends by itself.
      await slot.free(restMs).catch(() => undefined);
    }
  };

  return {
    take: async (place, perform) => {
      const line = lineAt(nameOf(place));
      if (line.waiting >= MAX_WAITING) throw busy(MAX_WAITING * place.windowMs);
      const before = line.waiting === 0 ? undefined : line.last;
      const mine = Promise.withResolvers<undefined>();
      line.last = (before ?? Promise.resolve()).then(() => mine.promise);
      line.waiting += 1;
      const wait = createWait(clock, closing, () =>
        busy(Math.max(place.windowMs, line.freeAt - clock.monotonic())),
      );
      try {
        if (before !== undefined) await orAborted(before, wait.begin());
        return await performIn(line, place, perform, wait);
      } finally {
        wait.end();
        line.waiting -= 1;
        mine.resolve(undefined);
      }
    },
  };
}

/** A wait for a turn that is given up after a while, and when the server stops. Its time begins when it is needed. */
interface Wait {
  readonly begin: () => AbortSignal;
  readonly end: () => void;
}

function createWait(clock: Clock, closing: AbortSignal, tooLong: () => Error): Wait {
  const ended = new AbortController();
  const given = new AbortController();
  const close = () => {
    given.abort(new ConflictError('The server is stopping.', 'Ask again after the next start.'));
  };
  let isBegun = false;
  return {
    begin: () => {
      if (isBegun) return given.signal;
      isBegun = true;
      if (closing.aborted) close();
      closing.addEventListener('abort', close, { once: true });
      clock.sleep(MAX_WAIT_MS, ended.signal).then(
        () => {
          given.abort(tooLong());
        },
        () => {
          // The turn has come.
        },
      );
      return given.signal;
    },
    end: () => {
      closing.removeEventListener('abort', close);
      ended.abort(new Error('The turn has come.'));
    },
  };
}

/** @throws the signal's reason if it aborts first. */
function orAborted(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const giveUp = () => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) giveUp();
    signal.addEventListener('abort', giveUp, { once: true });
    void promise.then(() => {
      signal.removeEventListener('abort', giveUp);
      resolve();
    });
  });
}

function nameOf({ account, host }: Place): string {
  return account === undefined ? `host ${host}` : `account ${account}`;
}

function busy(ms: number): RateLimitedError {
  const message = 'Too many questions wait for this account of the destination, whose calls are limited.';
  return new RateLimitedError(message, Math.max(1, Math.ceil(ms / 1_000)));
}
