import type { Request, RequestHandler, Response } from 'express';
import { ForbiddenError } from '../errors.js';
import type { Principal } from '../people/principal.js';
import type { Sessions } from '../people/sessions.js';
import { isAtLeast } from '../security/permissions.js';

/** How long the sender has to read why it is shut out, before its connection is cut. */
const READING_MS = 2_000;

/**
 * For requests that may take an hour: `shutOutSignal` aborts as soon as the user is disabled or demoted or the token is revoked,
 * also through another process. A token that expires meanwhile was good when the request began.
 */
export function watchPrincipal(sessions: Sessions): RequestHandler {
  return (_request, response, next) => {
    const shutOut = new AbortController();
    const principal = response.locals.principal as Principal;
    const closed = sessions.open(
      { ...principal, endsAt: null },
      (reason) => {
        shutOut.abort(
          new ForbiddenError(
            `The import has ended: ${reason} Profiles that were stored before keep their values, and no segment was changed.`,
            'Ask an administrator, and send the whole file again with a token that may import.',
          ),
        );
      },
      (role) => isAtLeast(role, principal.user.role),
    );
    response.once('close', closed);
    response.locals.shutOut = shutOut.signal;
    next();
  };
}

/** Aborts with the error that the sender is to read; undefined: nobody watches over this request. */
export function shutOutSignal(response: Response): AbortSignal | undefined {
  return response.locals.shutOut as AbortSignal | undefined;
}

/**
 * Throws away what a sender who is shut out still sends, because a sender that is stuck in writing would not read the answer.
 * Soon after the answer the connection is cut. It does not end at once: the sender might lose an answer that it has not read.
 */
export function cutAfterAnswer(request: Request, response: Response): void {
  request.resume();
  response.once('finish', () => {
    setTimeout(() => {
      if (!request.complete) request.socket.destroy();
    }, READING_MS).unref();
  });
}
