import { UnauthenticatedError } from '../errors.js';

/** A sign-in that was tried and refused. */
export class RefusedSignInError extends UnauthenticatedError {
  constructor(
    message: string,
    remedy: string,
    /** As whom, if that is known. */
    readonly userId?: string,
  ) {
    super(message, remedy);
  }
}

/** The token could not be checked, because its issuer is away: whether it is good nobody knows. */
export class UncheckedSignInError extends RefusedSignInError {}
