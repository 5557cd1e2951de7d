import { FixCredentialsError, RetryLaterError } from '../destinations/destination.js';
import type { Problem } from '../entities/problem.js';
import { ConnectionFailedError, SluiceError } from '../errors.js';

/** What a destination's answers are classed as when they are no success and blame no contact. */
export type DestinationFailure = FixCredentialsError | RetryLaterError;

/** False for everything that is a fault of ours. */
export function isDestinationFailure(error: unknown): error is DestinationFailure {
  return error instanceof FixCredentialsError || error instanceof RetryLaterError;
}

/**
 * What to tell the person who can mend it: the one place where failures become problems.
 *
 * That a destination is unreachable is always told in the same words, whether the port is closed, the name unknown or
 * the answer late: the host is the caller's choice, and the difference would let a caller map a network from here.
 * Only what a server there has really answered, or shown as its certificate, has words of its own.
 */
export function problemOf(error: unknown): Problem {
  if (error instanceof FixCredentialsError || error instanceof SluiceError) {
    return { code: error.code, message: error.message, remedy: error.remedy ?? null };
  }
  if (error instanceof RetryLaterError) return error.tooFast ? TOO_BUSY : INSTEAD[error.instead];
  return INTERNAL;
}

/** The same, as the error that a request for the destination answers. */
export function asConnectionFailure(failure: DestinationFailure): ConnectionFailedError {
  const { message, remedy } = problemOf(failure);
  return new ConnectionFailedError(message, remedy ?? undefined);
}

const UNREACHABLE: Problem = {
  code: 'UNREACHABLE',
  message: 'The destination could not be reached, or cannot answer at the moment.',
  remedy: 'Check the host name, and try again in a few minutes.',
};

const INSTEAD: Readonly<Record<RetryLaterError['instead'], Problem>> = {
  NOTHING: UNREACHABLE,
  NONSENSE: {
    code: 'SENSELESS_ANSWER',
    message:
      'The destination gave an answer that makes no sense: too long, cut off, or not what its API answers.',
    remedy: 'Check the host name; if it is right, try again in a few minutes.',
  },
  BAD_CERTIFICATE: {
    code: 'BAD_CERTIFICATE',
    message:
      'The certificate of the destination cannot be trusted: it has expired, or is for another host, or signed by nobody known.',
    remedy: 'Check the host name; if it is right, wait until whoever runs the destination has renewed it.',
  },
};

const TOO_BUSY: Problem = {
  code: 'TOO_BUSY',
  message: 'The destination is too busy, or is called too often for this account.',
  remedy: 'Try again in a minute.',
};

const INTERNAL: Problem = {
  code: 'INTERNAL_SERVER_ERROR',
  message: 'Something went wrong inside Sluice.',
  remedy: 'Try again; if it happens again, look for the error in the log of the server.',
};
