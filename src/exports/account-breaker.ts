import type { DestinationLimits } from '../destinations/destination.js';
import { createCircuitBreaker, type CircuitBreaker } from './circuit-breaker.js';
import { earlierTries } from './present-outage.js';
import type { EngineServices } from './run-context.js';

/** The circuit breaker of an account that is worked from now on. @param ring wakes the runs of the account. */
export async function openBreaker(
  { database, clock, logger }: EngineServices,
  account: string,
  limits: DestinationLimits,
  ring: () => void,
): Promise<CircuitBreaker> {
  const earlier = await earlierTries(database.reader, clock, account, limits);
  const breaker = createCircuitBreaker(clock, limits, earlier, (state, before) => {
    if (state !== before) logger.warn({ account, state }, 'circuit breaker changed');
    ring();
  });
  if (breaker.isOpen()) logger.warn({ account, ...earlier }, 'circuit breaker is open since an earlier run');
  return breaker;
}
