import { join } from 'node:path';
import { Not, type EntityManager } from 'typeorm';
import type { Clock } from '../clock.js';
import type { Config } from '../config.js';
import type { Database } from '../database.js';
import { ApiToken } from '../entities/api-token.js';
import { PrincipalKind, Role, User } from '../entities/user.js';
import { newId } from '../ids.js';
import { readOrMakePrivateFile } from '../security/private-file.js';
import { hashToken, newToken } from '../security/tokens.js';

interface AdministratorServices {
  readonly database: Database;
  readonly clock: Clock;
}

/** What the first start has to tell: the token, and the file that holds it. Empty when there is nothing to tell. */
export interface FirstToken {
  readonly token?: string;
  readonly file?: string;
}

/** Always the same id, so that the primary key allows one first administrator, however many processes start at once. */
const FIRST_ADMINISTRATOR_ID = '00000000-0000-7000-8000-000000000000';
const TOKEN_FILE = 'admin-token';
const GENERATED = 'First start';
/** The name of the token that a setting gives; nobody else may name one so. */
export const FROM_SETTING = 'SLUICE_ADMIN_TOKEN';

/**
 * Makes sure that an administrator can sign in. The first start makes the administrator, with the token of the setting
 * or, without one, with a generated token that it keeps in a file of the data folder (mode 0600) and answers, to be
 * shown once. Later starts find both; the file may be deleted once the token is kept elsewhere.
 *
 * A setting that changes later replaces the token that came from the setting before, which stops working: that is how
 * such a token is rotated. A generated token stays. A setting that is taken away changes nothing.
 */
export async function ensureAdministrator(
  services: AdministratorServices,
  config: Pick<Config, 'adminToken' | 'dataFolder'>,
): Promise<FirstToken> {
  const { adminToken, dataFolder } = config;
  if (adminToken !== undefined) {
    await installToken(services, adminToken, FROM_SETTING);
    return {};
  }
  if (await services.database.reader.existsBy(User, { id: FIRST_ADMINISTRATOR_ID })) return {};
  // The file comes first: were it written after the commit, a crash in between would lose the only token.
  const file = join(dataFolder, TOKEN_FILE);
  const token = readOrMakePrivateFile(file, newToken);
  const isNew = await installToken(services, token, GENERATED);
  return isNew ? { token, file } : {};
}

/** Answers whether the token was not known yet. */
async function installToken(services: AdministratorServices, token: string, name: string): Promise<boolean> {
  const now = new Date(services.clock.now());
  const userId = FIRST_ADMINISTRATOR_ID;
  const hash = hashToken(token);
  return services.database.transact(async ({ manager }) => {
    // First of all the write that takes the lock: with a read before it, two processes at once would both find nobody.
    await insertIfMissing(manager, {
      id: userId,
      displayName: 'Administrator',
      email: null,
      kind: PrincipalKind.PERSON,
      role: Role.ADMINISTRATOR,
      disabled: false,
      issuer: null,
      subject: null,
      createdAt: now,
    });
    if (name === FROM_SETTING) await manager.delete(ApiToken, { userId, name, hash: Not(hash) });
    if (await manager.existsBy(ApiToken, { hash })) return false;
    const hint = token.slice(-4);
    await manager.insert(ApiToken, {
      id: newId(),
      userId,
      name,
      hint,
      hash,
      expiresAt: null,
      lastUsedAt: null,
      revokedAt: null,
      createdAt: now,
    });
    return true;
  });
}

async function insertIfMissing(manager: EntityManager, user: User): Promise<void> {
  await manager.createQueryBuilder().insert().into(User).values(user).orIgnore().execute();
}
