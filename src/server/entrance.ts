import type { IncomingMessage } from 'node:http';
import proxyAddress from 'proxy-addr';
import { systemClock } from '../clock.js';
import type { Config } from '../config.js';
import { UnauthenticatedError } from '../errors.js';
import type { Logger } from '../logger.js';
import type { Principal } from '../people/principal.js';
import { UncheckedSignInError } from '../people/refused-sign-in.js';
import type { Services } from '../schema/services.js';
import { hashToken } from '../security/tokens.js';
import { createRates, type Rates } from './rates.js';
import { createSignInSlots } from './sign-in-slots.js';

/** Somebody who is in, and the address that they came from. */
export interface Admitted {
  readonly principal: Principal;
  readonly address: string;
}

/** Who comes in, and how often: the same at both doors. */
export interface Entrance {
  /** For every request before anything else. @throws {RateLimitedError} */
  readonly knock: (request: IncomingMessage) => Promise<void>;
  /**
   * Who is asking, by the `Authorization` header or what stands in for it. @param logger the request's.
   * @throws {UnauthenticatedError} | {RateLimitedError}
   */
  readonly enter: (
    request: IncomingMessage,
    authorization: string | undefined,
    logger: Logger,
  ) => Promise<Admitted>;
  /** Where a request came from, as far as the proxies in front of it are trusted. */
  readonly addressOf: (request: IncomingMessage) => string;
  /** Counts what somebody who is in asks for. @throws {RateLimitedError} */
  readonly countRequestOf: Rates['countRequestOf'];
}

/** More tokens in use at once than anybody has. */
const MAX_PROVEN = 10_000;

/**
 * Whoever fails to sign in too often is looked at slowly (sign-in-slots.ts), or tokens could be guessed. A token that has been
 * good since the start of this process is looked at as ever: a stranger's failures, or a forgotten script with an old token, keep
 * nobody waiting who is at work.
 */
export function createEntrance(
  config: Pick<Config, 'rates' | 'trustedProxies'>,
  services: Services,
): Entrance {
  const rates = createRates(config);
  const isTrusted = proxyAddress.compile([...config.trustedProxies]);
  const addressOf = (request: IncomingMessage) => proxyAddress(request, isTrusted);
  // As the counts of the rates: by the machine's time, whatever the server's clock shows.
  const slots = createSignInSlots(rates, systemClock);
  /** Hashes of tokens that were good the last time, the latest last. */
  const proven = new Set<string>();

  const signIn = async (address: string, authorization: string | undefined, logger: Logger) => {
    const proof = hashToken(authorization?.trim().split(/ +/).at(-1) ?? '');
    const slot = proven.has(proof) ? undefined : await slots.take(address);
    let hasFailed = false;
    try {
      const principal = await services.signIn(authorization, address, logger);
      remember(proven, proof);
      return principal;
    } catch (error: unknown) {
      if (!(error instanceof UnauthenticatedError)) throw error;
      proven.delete(proof);
      // An issuer that is away says nothing about the token.
      hasFailed = !(error instanceof UncheckedSignInError);
      if (slot?.isWatched) throw await rates.tooManyFailuresFrom(address);
      if (slot === undefined && hasFailed) await rates.countFailedSignInFrom(address);
      throw error;
    } finally {
      await slot?.end(hasFailed);
    }
  };

  return {
    knock: (request) => rates.countRequestFrom(addressOf(request)),
    enter: async (request, authorization, logger) => {
      const address = addressOf(request);
      const principal = await signIn(address, authorization, logger);
      await rates.countRequestOf(principal.user.id);
      return { principal, address };
    },
    addressOf,
    countRequestOf: rates.countRequestOf,
  };
}

function remember(proven: Set<string>, proof: string): void {
  // Taken out and put in again, it is the newest.
  proven.delete(proof);
  proven.add(proof);
  const [first] = proven;
  if (proven.size > MAX_PROVEN && first !== undefined) proven.delete(first);
}
