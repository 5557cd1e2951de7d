import { QueryFailedError } from 'typeorm';

/** Postgres: unique_violation. */
const UNIQUE_VIOLATION = '23505';

/**
 * What Postgres and the way to it answer when it is not there, restarts, or has cut the connection: another try, later,
 * may go well. Classes 08 (connection exception) and 57P (operator intervention) of its table of error codes, and what
 * it says of a transaction that was idle for too long, of a lock that did not come, and where it became a standby.
 */
const AWAY_CODES =
  /^(08...|57P0[1-5]|25006|25P03|55P03|53300|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH)$/;
/** The driver's own words, and TypeORM's, which releases a connection that was cut; they have no code. */
const AWAY_WORDS =
  /Connection terminated|already released|connection error and is not queryable|timeout exceeded when trying to connect|Client was closed/;

/** Whether the error says that a unique index refused the row: somebody else was first. */
export function isUniqueViolation(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return codeOf(error) === UNIQUE_VIOLATION || error.message.includes('UNIQUE constraint failed');
}

/** Whether the database could not be reached, or was lost on the way: nothing is known of what was under way. */
export function isDatabaseAway(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isDatabaseAway);
  if (!(error instanceof Error)) return false;
  return AWAY_CODES.test(codeOf(error)) || AWAY_WORDS.test(error.message);
}

function codeOf(error: Error): string {
  const cause: unknown = error instanceof QueryFailedError ? error.driverError : error;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : '';
}
