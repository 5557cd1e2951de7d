import type { EntityManager } from 'typeorm';
import type { DestinationLimits } from '../destinations/destination.js';
import { createCircuitBreaker, type CircuitBreaker, type EarlierTries } from './circuit-breaker.js';
import type { EngineServices } from './run-context.js';

/** The circuit breaker of an account that is worked from now on. @param ring wakes the runs of the account. */
export async function openBreaker(
  { database, clock, logger }: EngineServices,
  account: string,
  limits: DestinationLimits,
  ring: () => void,
): Promise<CircuitBreaker> {
  const earlier = await earlierTries(database.reader, account);
  return createCircuitBreaker(clock, limits, earlier, (state, before) => {
    if (state !== before) logger.warn({ account, state }, 'circuit breaker changed');
    ring();
  });
}

/**
 * The tries without proof that are stored with the batches of an account's runs under way: whoever takes the account over
 * does not begin as if nothing had failed.
 */
async function earlierTries(reader: EntityManager, account: string): Promise<EarlierTries> {
  const [row] = await reader.query<[{ batches: number | string; tries: number | string | null }]>(
    `SELECT COUNT(*) AS "batches", SUM("tries") AS "tries" FROM (
       SELECT "unprovenTries" + CASE WHEN "batches"."state" = 'SENDING' THEN 1 ELSE 0 END AS "tries"
       FROM "export_runs" AS "run" CROSS JOIN "batches"
       WHERE "run"."account" = $1 AND "run"."state" IN ('RUNNING', 'CANCELING') AND "batches"."runId" = "run"."id"
         AND "batches"."state" IN ('PLANNED', 'SENDING', 'UNCONFIRMED')) AS "tried"
     WHERE "tries" > 0`,
    [account],
  );
  // Postgres counts in 64 bits, which its driver gives as text.
  return { batches: Number(row.batches), tries: Number(row.tries ?? 0) };
}
