import { UnauthenticatedError } from '../errors.js';

/**
 * A call that does not prove that it may be made. The caller reads the same whatever is behind it: who guesses must not
 * learn which triggers there are.
 */
export class RefusedCallError extends UnauthenticatedError {
  constructor(
    /** What it really was, for the audit trail alone. */
    readonly reason: string,
  ) {
    super(
      'There is no such trigger, it is disabled, or the call does not prove that it knows the secret.',
      'Check the address, the secret, and that exactly the bytes that are sent are signed.',
    );
  }
}
