import { createBell, type Bell } from '../bell.js';
import type { Clock } from '../clock.js';
import { createTurnstile } from '../turnstile.js';
import { networkOf, type Rates } from './rates.js';

/*
 * Whoever guesses tokens fails often. As long as few sign-ins of an address have failed in the last minute, tokens from there are
 * looked at as they come. A sign-in under way counts as failed until it has succeeded, so that hundreds at once are not
 * looked at before the first of them has failed.
 *
 * After too many failures the address is watched. Its tokens are still looked at, but slowly, and each waits for its turn for a
 * moment at most. So a guesser learns nothing in useful time, and a person who shares the address and comes with a new token gets
 * in.
 */

/** Tokens from a watched address that are looked at at the same time. */
const MAX_WATCHED = 2;
const MAX_WAIT_MS = 2_000;

/** The right to have one token looked at. */
export interface SignInSlot {
  /** The address has failed too often: who fails now is not told why. */
  readonly isWatched: boolean;
  /** Gives the slot back, once. */
  readonly end: (hasFailed: boolean) => Promise<void>;
}

export interface SignInSlots {
  /** Waits for a slot, two seconds at most. @throws {RateLimitedError} if there is none by then. */
  readonly take: (address: string) => Promise<SignInSlot>;
}

/** What is under way from one address; of IPv6, from one network. */
interface UnderWay {
  /** Whoever has a slot, or waits for one. */
  callers: number;
  looked: number;
  watched: number;
  readonly bell: Bell;
}

export function createSignInSlots(rates: Rates, clock: Clock): SignInSlots {
  const networks = new Map<string, UnderWay>();
  const turns = createTurnstile();

  const leave = (network: string, underWay: UnderWay) => {
    underWay.callers -= 1;
    if (underWay.callers === 0) networks.delete(network);
    underWay.bell.ring();
  };

  const slotOf = (network: string, underWay: UnderWay, kind: 'looked' | 'watched'): SignInSlot => {
    underWay[kind] += 1;
    return {
      isWatched: kind === 'watched',
      end: async (hasFailed) => {
        // Counted before the slot is free: nobody comes in between.
        if (hasFailed) await rates.countFailedSignInFrom(network);
        underWay[kind] -= 1;
        leave(network, underWay);
      },
    };
  };

  const waitForSlot = async (network: string, underWay: UnderWay, untilMs: number): Promise<SignInSlot> => {
    for (;;) {
      const seen = underWay.bell.count();
      if (await rates.mayFailFrom(network, underWay.looked)) return slotOf(network, underWay, 'looked');
      const waitMs = underWay.watched < MAX_WATCHED ? await rates.takeWatchedSignInFrom(network) : Infinity;
      if (waitMs === 0) return slotOf(network, underWay, 'watched');
      const nowMs = clock.monotonic();
      if (nowMs >= untilMs) throw await rates.tooManyFailuresFrom(network);
      await underWay.bell.after(seen, Math.min(untilMs, nowMs + waitMs));
    }
  };

  return {
    take: async (address) => {
      const network = networkOf(address);
      const untilMs = clock.monotonic() + MAX_WAIT_MS;
      const underWay = networks.get(network) ?? {
        callers: 0,
        looked: 0,
        watched: 0,
        bell: createBell(clock),
      };
      networks.set(network, underWay);
      underWay.callers += 1;
      try {
        return await turns.pass(network, () => waitForSlot(network, underWay, untilMs));
      } catch (error: unknown) {
        leave(network, underWay);
        throw error;
      }
    },
  };
}
