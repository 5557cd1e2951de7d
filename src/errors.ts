/**
 * The failures that a caller can meet, one class for each consequence. The `code` is stable and part of the API; the
 * message says what happened; the remedy says, in one sentence, what to do. Everything that is not a SluiceError is a
 * bug or a fault of the machine: the door masks it (see server/error-format.ts).
 */
export type ErrorCode =
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'BAD_USER_INPUT'
  | 'CONFLICT'
  | 'CONSENT_REQUIRED'
  | 'CONNECTION_IN_USE'
  | 'CONNECTION_FAILED'
  | 'IDEMPOTENCY_KEY_REUSED'
  | 'RATE_LIMITED';

export abstract class SluiceError extends Error {
  abstract readonly code: ErrorCode;

  constructor(
    message: string,
    readonly remedy?: string,
    /** The input field that is to blame, as a dotted path. */
    readonly field?: string,
  ) {
    super(message);
    this.name = new.target.name;
  }
}

/** Nobody is signed in, or the token is not (or no longer) valid. */
export class UnauthenticatedError extends SluiceError {
  readonly code = 'UNAUTHENTICATED';
}

/** The caller is known and may not do this. Where the caller may not even know of something, it is NOT_FOUND instead. */
export class ForbiddenError extends SluiceError {
  readonly code = 'FORBIDDEN';
}

/** What was asked for does not exist, or the caller may not know of it: both read the same. */
export class NotFoundError extends SluiceError {
  readonly code = 'NOT_FOUND';

  constructor(what: string, remedy = 'Check the id; it may have been removed.') {
    super(`There is no such ${what}.`, remedy);
  }
}

/** The input cannot be accepted as it is; `field` names the culprit. */
export class BadInputError extends SluiceError {
  readonly code = 'BAD_USER_INPUT';

  constructor(field: string, message: string, remedy: string) {
    super(message, remedy, field);
  }
}

/** The request contradicts the present state of things. */
export class ConflictError extends SluiceError {
  readonly code = 'CONFLICT';
}

/** No administrator has agreed to the current privacy statement for this connection. */
export class ConsentRequiredError extends SluiceError {
  readonly code = 'CONSENT_REQUIRED';
}

/** A connection that exports still use cannot be removed. */
export class ConnectionInUseError extends SluiceError {
  readonly code = 'CONNECTION_IN_USE';
}

/** The destination could not be reached or did not accept the credentials. */
export class ConnectionFailedError extends SluiceError {
  readonly code = 'CONNECTION_FAILED';
}

/** The same idempotency key came with another request. */
export class IdempotencyKeyReusedError extends SluiceError {
  readonly code = 'IDEMPOTENCY_KEY_REUSED';
}

/** Too much at once or too often; the same request is welcome after `retryAfterSeconds`. */
export class RateLimitedError extends SluiceError {
  readonly code = 'RATE_LIMITED';

  constructor(
    message: string,
    readonly retryAfterSeconds: number,
  ) {
    super(message, `Try again in ${retryAfterSeconds} s.`);
  }
}

/** Says in one line what went wrong, for logs; never the place to classify. */
export function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
