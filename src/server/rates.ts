import ipaddr from 'ipaddr.js';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { Config } from '../config.js';
import { RateLimitedError } from '../errors.js';

/** How often somebody may come, counted in windows of a minute from their first request on. */
export interface Rates {
  /** Counts a request, whoever makes it. @throws {RateLimitedError} */
  readonly countRequestFrom: (address: string) => Promise<void>;
  /** Counts a request of somebody who is let in. @throws {RateLimitedError} */
  readonly countRequestOf: (userId: string) => Promise<void>;
  /** Whether so many more sign-ins from there may fail before the address is watched (sign-in-slots.ts), and one more. */
  readonly mayFailFrom: (address: string, underWay: number) => Promise<boolean>;
  readonly countFailedSignInFrom: (address: string) => Promise<void>;
  /** Takes one of the sign-ins a second of a watched address. @returns ms to wait if there is none; 0: it is taken. */
  readonly takeWatchedSignInFrom: (address: string) => Promise<number>;
  /** What the others are told. */
  readonly tooManyFailuresFrom: (address: string) => Promise<RateLimitedError>;
}

const WINDOW_S = 60;
const WATCHED_PER_SECOND = 10;
/** Who has one IPv6 address has at least this many bits of them (RFC 6177). */
const IPV6_NETWORK_BYTES = 8;

export function createRates(config: Pick<Config, 'rates'>): Rates {
  const limiter = (points: number) => new RateLimiterMemory({ points, duration: WINDOW_S });
  const requestsFrom = limiter(config.rates.perAddress);
  const requestsOf = limiter(config.rates.perPrincipal);
  const failedSignIns = limiter(config.rates.failedSignIns);
  const watchedSignIns = new RateLimiterMemory({ points: WATCHED_PER_SECOND, duration: 1 });
  const failuresFrom = async (address: string) => {
    const failures = await failedSignIns.get(networkOf(address));
    return failures === null || failures.msBeforeNext <= 0 ? undefined : failures;
  };
  return {
    countRequestFrom: (address) =>
      count(requestsFrom, networkOf(address), 'Too many requests come from this address.'),
    countRequestOf: (userId) => count(requestsOf, userId, 'This user makes too many requests.'),
    mayFailFrom: async (address, underWay) => {
      const failures = await failuresFrom(address);
      return (failures?.consumedPoints ?? 0) + underWay < failedSignIns.points;
    },
    countFailedSignInFrom: async (address) => {
      await failedSignIns.penalty(networkOf(address));
    },
    takeWatchedSignInFrom: async (address) => {
      try {
        await watchedSignIns.consume(networkOf(address));
        return 0;
      } catch (error: unknown) {
        if (error instanceof RateLimiterRes) return Math.max(1, error.msBeforeNext);
        throw error;
      }
    },
    tooManyFailuresFrom: async (address) => {
      const { msBeforeNext = 0 } = (await failuresFrom(address)) ?? {};
      return refusal('Too many sign-ins have failed from this address.', { msBeforeNext });
    },
  };
}

async function count(limiter: RateLimiterMemory, key: string, message: string): Promise<void> {
  try {
    await limiter.consume(key);
  } catch (error: unknown) {
    throw error instanceof RateLimiterRes ? refusal(message, error) : error;
  }
}

function refusal(message: string, { msBeforeNext }: Pick<RateLimiterRes, 'msBeforeNext'>): RateLimitedError {
  // The library reckons by the wall clock: where that was put back, more than a window would be left of the window. A
  // timer ends it in time all the same.
  return new RateLimitedError(message, Math.min(WINDOW_S, Math.max(1, Math.ceil(msBeforeNext / 1_000))));
}

/** What one caller can choose addresses from counts as one: of IPv6 the network, of IPv4 the address, also in IPv6. */
export function networkOf(address: string): string {
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  return parsed.kind() === 'ipv4'
    ? parsed.toString()
    : parsed.toByteArray().slice(0, IPV6_NETWORK_BYTES).join('.');
}
