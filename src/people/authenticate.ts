import type { Clock } from '../clock.js';
import type { Database } from '../database.js';
import { ApiToken } from '../entities/api-token.js';
import { User } from '../entities/user.js';
import { describeError, UnauthenticatedError } from '../errors.js';
import type { Logger } from '../logger.js';
import { hashToken, isGarbledToken } from '../security/tokens.js';

interface AuthenticationServices {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** RFC 6750, 2.1; the name of the scheme is compared without regard to case (RFC 9110, 11.1). */
const BEARER = /^Bearer +(\S+) *$/i;
const HOW_TO_SIGN_IN = 'Send the header "Authorization: Bearer <token>" with a valid token.';
/** More often would cost a write for each request and tell nobody more. */
const LAST_USED_STEP_MS = 60_000;

/**
 * Who is asking, by the `Authorization` header of the request.
 *
 * Tokens are found by their hash, with the same work whether or not there is such a token: how long an answer takes
 * tells nothing about how much of a guess was right.
 * @throws {UnauthenticatedError} if the header is missing or malformed, the token unknown, or the user disabled.
 */
export async function authenticate(
  services: AuthenticationServices,
  authorization: string | undefined,
): Promise<User> {
  if (authorization === undefined || authorization === '') {
    throw new UnauthenticatedError('Nobody is signed in.', HOW_TO_SIGN_IN);
  }
  const token = BEARER.exec(authorization)?.[1];
  if (token === undefined) {
    throw new UnauthenticatedError(
      'The Authorization header is not of the form "Bearer <token>".',
      HOW_TO_SIGN_IN,
    );
  }
  const found = await findByToken(services, token);
  if (found === undefined) {
    throw isGarbledToken(token)
      ? new UnauthenticatedError(
          'The token was mistyped or cut short.',
          'Copy the whole token and try again.',
        )
      : new UnauthenticatedError('The token is not valid.', 'Ask an administrator for a new token.');
  }
  if (found.user.disabled) {
    throw new UnauthenticatedError('The user is disabled.', 'Ask an administrator to enable the user again.');
  }
  noteUse(services, found.apiToken);
  return found.user;
}

async function findByToken(
  services: AuthenticationServices,
  token: string,
): Promise<{ apiToken: ApiToken; user: User } | undefined> {
  const { reader } = services.database;
  const apiToken = await reader.findOneBy(ApiToken, { hash: hashToken(token) });
  const user = await reader.findOneBy(User, { id: apiToken?.userId ?? '' });
  return apiToken === null || user === null ? undefined : { apiToken, user };
}

/** Goes on beside the request, which does not wait for it and does not fail with it. */
function noteUse(services: AuthenticationServices, { id, lastUsedAt }: ApiToken): void {
  const now = services.clock.now();
  if (lastUsedAt !== null && now - lastUsedAt.getTime() < LAST_USED_STEP_MS) return;
  services.database
    .transact(async ({ manager }) => {
      const current = await manager.findOneBy(ApiToken, { id });
      // Of many requests at once, one writes.
      if (current?.lastUsedAt?.getTime() !== lastUsedAt?.getTime()) return;
      await manager.update(ApiToken, { id }, { lastUsedAt: new Date(now) });
    })
    .catch((error: unknown) => {
      services.logger.warn({ error: describeError(error) }, 'the last use of a token was not recorded');
    });
}
