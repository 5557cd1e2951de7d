import { ApiToken } from '../entities/api-token.js';
import { User } from '../entities/user.js';
import { describeError, UnauthenticatedError } from '../errors.js';
import { NOTES_LANE } from '../lanes.js';
import { looksLikeJwt } from '../security/issuer-tokens.js';
import { hashToken, isGarbledToken } from '../security/tokens.js';
import type { Principal } from './principal.js';
import { RefusedSignInError } from './refused-sign-in.js';
import type { SignInServices } from './services.js';

/** RFC 6750, 2.1; the name of the scheme is compared without regard to case (RFC 9110, 11.1). */
const BEARER = /^Bearer +(\S+) *$/i;
const HOW_TO_SIGN_IN = 'Send the header "Authorization: Bearer <token>" with a valid token.';
const ASK_FOR_ANOTHER = 'Ask an administrator for a new token.';
/** More often would cost a write for each request and tell nobody more. */
const LAST_USED_STEP_MS = 60_000;

/**
 * Who is asking, by the `Authorization` header of the request: the bearer of an API token, or of a JWT of the issuer.
 *
 * Tokens are found by their hash, with the same work whether or not there is such a token: how long an answer takes
 * tells nothing about how much of a guess was right.
 * @param address where the request came from, for the audit trail.
 * @throws {UnauthenticatedError} if the header is missing or malformed, the token unknown, expired or revoked, or the
 *   user disabled.
 */
export async function authenticate(
  services: SignInServices,
  authorization: string | undefined,
  address: string | null = null,
): Promise<Principal> {
  if (authorization === undefined || authorization === '') {
    throw new UnauthenticatedError('Nobody is signed in.', HOW_TO_SIGN_IN);
  }
  const token = BEARER.exec(authorization)?.[1];
  if (token === undefined) {
    throw new RefusedSignInError(
      'The Authorization header is not of the form "Bearer <token>".',
      HOW_TO_SIGN_IN,
    );
  }
  const principal = await principalOf(services, token, address);
  const { id, disabled } = principal.user;
  if (disabled) {
    const remedy = 'Ask an administrator to enable the user again.';
    throw new RefusedSignInError('The user is disabled.', remedy, id);
  }
  return principal;
}

async function principalOf(
  services: SignInServices,
  token: string,
  address: string | null,
): Promise<Principal> {
  const found = await findByToken(services, token);
  if (found !== undefined) return bearerOf(services, found);
  if (services.issuer !== undefined && looksLikeJwt(token))
    return services.issuer.principalOf(token, address, services.logger);
  throw isGarbledToken(token)
    ? new RefusedSignInError('The token was mistyped or cut short.', 'Copy the whole token and try again.')
    : new RefusedSignInError('The token is not valid.', ASK_FOR_ANOTHER);
}

function bearerOf(
  services: SignInServices,
  { apiToken, user }: { apiToken: ApiToken; user: User },
): Principal {
  const { id, expiresAt, revokedAt } = apiToken;
  if (revokedAt !== null) throw new RefusedSignInError('The token was revoked.', ASK_FOR_ANOTHER, user.id);
  if (expiresAt !== null && expiresAt.getTime() <= services.clock.now()) {
    throw new RefusedSignInError('The token has expired.', ASK_FOR_ANOTHER, user.id);
  }
  if (!user.disabled) noteUse(services, apiToken);
  return { user, apiTokenId: id, endsAt: expiresAt };
}

async function findByToken(
  services: SignInServices,
  token: string,
): Promise<{ apiToken: ApiToken; user: User } | undefined> {
  // One statement: this is done for every request.
  const found = await services.database.reader
    .createQueryBuilder(ApiToken, 'token')
    .innerJoinAndMapOne('token.user', User, 'user', 'user.id = token.userId')
    .where('token.hash = :hash', { hash: hashToken(token) })
    .getOne();
  if (found === null) return undefined;
  const { user, ...apiToken } = found as ApiToken & { user: User };
  return { apiToken, user };
}

/** Goes on beside the request, which does not wait for it and does not fail with it. */
function noteUse(services: SignInServices, { id, lastUsedAt }: ApiToken): void {
  const now = services.clock.now();
  // A moment in the future was noted before the clock was put back: it says nothing of the last minute.
  const sinceMs = lastUsedAt === null ? Infinity : now - lastUsedAt.getTime();
  if (sinceMs >= 0 && sinceMs < LAST_USED_STEP_MS) return;
  services.database
    .transact(async ({ manager }) => {
      const current = await manager.findOneBy(ApiToken, { id });
      // Of many requests at once, one writes.
      if (current?.lastUsedAt?.getTime() !== lastUsedAt?.getTime()) return;
      await manager.update(ApiToken, { id }, { lastUsedAt: new Date(now) });
    }, NOTES_LANE)
    .catch((error: unknown) => {
      services.logger.warn({ error: describeError(error) }, 'the last use of a token was not recorded');
    });
}
