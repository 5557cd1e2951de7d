import { changesBetween } from '../audit/changes.js';
import { record, type SignedInActor } from '../audit/record.js';
import { ApiToken } from '../entities/api-token.js';
import { BadInputError, ConflictError, NotFoundError } from '../errors.js';
import { newId } from '../ids.js';
import { parseName } from '../names.js';
import { readPage, type Page, type PageRequest } from '../page.js';
import { hashToken, newToken } from '../security/tokens.js';
import { FROM_SETTING } from './administrator.js';
import type { PeopleServices } from './services.js';
import { findUser } from './users.js';

const HINT_CHARACTERS = 4;

/** Tokens of a user, the oldest first, the revoked and expired ones among them. @throws {NotFoundError} */
export async function listApiTokens(
  { database }: Pick<PeopleServices, 'database'>,
  userId: string,
  page: PageRequest,
): Promise<Page<ApiToken>> {
  await findUser(database.reader, userId);
  const query = database.reader.createQueryBuilder(ApiToken, 'token');
  return readPage(query.where('token.userId = :userId', { userId }), page, 'ASC');
}

/**
 * Issues a token. It is answered this once; what is kept is its hash.
 * @throws {NotFoundError}; {BadInputError} for a name or an expiry that cannot be used; {ConflictError} for a disabled user.
 */
export async function issueApiToken(
  services: PeopleServices,
  actor: SignedInActor,
  input: { readonly userId: string; readonly name: string; readonly expiresAt?: Date | null },
): Promise<{ apiToken: ApiToken; token: string }> {
  const at = new Date(services.clock.now());
  const name = parseTokenName(input.name);
  const expiresAt = parseExpiry(input.expiresAt, at);
  const token = newToken();
  const apiToken: ApiToken = {
    id: newId(),
    userId: input.userId,
    name,
    hint: token.slice(-HINT_CHARACTERS),
    hash: hashToken(token),
    expiresAt,
    lastUsedAt: null,
    revokedAt: null,
    createdAt: at,
  };
  await services.database.transact(async ({ manager }) => {
    const user = await findUser(manager, input.userId);
    if (user.disabled) {
      throw new ConflictError(
        'The user is disabled, so nobody could sign in with the token.',
        'Enable the user first (setUserDisabled).',
        'userId',
      );
    }
    await manager.insert(ApiToken, apiToken);
    await record(manager, {
      at,
      actor,
      action: 'issueApiToken',
      subjectType: 'ApiToken',
      subjectId: apiToken.id,
      changes: changesBetween(null, apiToken, ['userId', 'name', 'expiresAt']),
    });
  });
  return { apiToken, token };
}

/**
 * Ends a token for ever; sockets that were opened with it are closed. A token that is revoked already stays so.
 * @throws {NotFoundError}
 */
export async function revokeApiToken(
  services: PeopleServices,
  actor: SignedInActor,
  id: string,
): Promise<ApiToken> {
  const at = new Date(services.clock.now());
  return services.database.transact(async ({ manager, afterCommit }) => {
    const before = await manager.findOneBy(ApiToken, { id });
    if (before === null) throw new NotFoundError('token');
    const after = Object.assign(new ApiToken(), before, { revokedAt: before.revokedAt ?? at });
    await manager.update(ApiToken, { id }, { revokedAt: after.revokedAt });
    await record(manager, {
      at,
      actor,
      action: 'revokeApiToken',
      subjectType: 'ApiToken',
      subjectId: id,
      changes: changesBetween(before, after, ['revokedAt']),
    });
    afterCommit(() => services.sessions.changed(before.userId));
    return after;
  });
}

function parseTokenName(input: string): string {
  const name = parseName('name', input);
  if (name !== FROM_SETTING) return name;
  throw new BadInputError(
    'name',
    `${FROM_SETTING} names the token of that setting, which is replaced when the setting changes.`,
    'Choose another name.',
  );
}

function parseExpiry(expiresAt: Date | null | undefined, now: Date): Date | null {
  if (expiresAt === null || expiresAt === undefined) return null;
  if (expiresAt > now) return expiresAt;
  throw new BadInputError(
    'expiresAt',
    'The token would have expired already.',
    'Give a moment in the future, or leave it out.',
  );
}
