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
  /** @throws {RateLimitedError} if too many sign-ins from there have failed. */
  readonly assertMaySignInFrom: (address: string) => Promise<void>;
  readonly countFailedSignInFrom: (address: string) => Promise<void>;
}

const WINDOW_S = 60;
/** Who has one IPv6 address has at least this many bits of them (RFC 6177). */
const IPV6_NETWORK_BYTES = 8;

export function createRates(config: Pick<Config, 'rates'>): Rates {
  const limiter = (points: number) => new RateLimiterMemory({ points, duration: WINDOW_S });
  const requestsFrom = limiter(config.rates.perAddress);
  const requestsOf = limiter(config.rates.perPrincipal);
  const failedSignIns = limiter(config.rates.failedSignIns);
  return {
    countRequestFrom: (address) =>
      count(requestsFrom, networkOf(address), 'Too many requests come from this address.'),
    countRequestOf: (userId) => count(requestsOf, userId, 'This user makes too many requests.'),
    assertMaySignInFrom: async (address) => {
      const failures = await failedSignIns.get(networkOf(address));
      if (failures === null || failures.msBeforeNext <= 0) return;
      if (failures.consumedPoints < failedSignIns.points) return;
      throw refusal('Too many sign-ins have failed from this address.', failures);
    },
    countFailedSignInFrom: async (address) => {
      await failedSignIns.penalty(networkOf(address));
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

function refusal(message: string, { msBeforeNext }: RateLimiterRes): RateLimitedError {
  // The library reckons by the wall clock: where that was put back, more than a window would be left of the window. A
  // timer ends it in time all the same.
  return new RateLimitedError(message, Math.min(WINDOW_S, Math.max(1, Math.ceil(msBeforeNext / 1_000))));
}

/** What one caller can choose addresses from counts as one: of IPv6 the network, of IPv4 the address, also in IPv6. */
function networkOf(address: string): string {
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  return parsed.kind() === 'ipv4'
    ? parsed.toString()
    : parsed.toByteArray().slice(0, IPV6_NETWORK_BYTES).join('.');
}
