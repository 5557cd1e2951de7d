import { IsNull, Not, type EntityManager } from 'typeorm';
import { changesBetween } from '../audit/changes.js';
import { record, type SignedInActor } from '../audit/record.js';
import type { Transaction } from '../database.js';
import { Role, User, type PrincipalKind } from '../entities/user.js';
import { BadInputError, ConflictError, NotFoundError } from '../errors.js';
import { newId } from '../ids.js';
import { problemOfCharacters } from '../email-address.js';
import { parseName, trimAscii } from '../names.js';
import { readPage, type Page, type PageRequest } from '../page.js';
import type { PeopleServices } from './services.js';

export interface NewUser {
  readonly displayName: string;
  readonly email?: string | null;
  readonly kind: PrincipalKind;
  readonly role: Role;
}

/** RFC 5321, 4.5.3.1.3. */
const MAX_EMAIL_CHARACTERS = 254;
const EMAIL = /^[^\s@\p{Cc}\p{Cs}]+@[^\s@\p{Cc}\p{Cs}]+$/u;

/** Users, the oldest first. @throws {BadInputError} for a page that cannot be read. */
export async function listUsers(
  { database }: Pick<PeopleServices, 'database'>,
  page: PageRequest,
): Promise<Page<User>> {
  return readPage(database.reader.createQueryBuilder(User, 'user'), page, 'ASC');
}

/** Makes a user without a token: nobody signs in as them yet. @throws {BadInputError} */
export async function createUser(
  services: PeopleServices,
  actor: SignedInActor,
  input: NewUser,
): Promise<User> {
  const at = new Date(services.clock.now());
  const user: User = {
    id: newId(),
    displayName: parseName('displayName', input.displayName),
    email: parseEmail(input.email),
    kind: input.kind,
    role: input.role,
    disabled: false,
    issuer: null,
    subject: null,
    createdAt: at,
  };
  await services.database.transact(async ({ manager }) => {
    await manager.insert(User, user);
    await record(manager, {
      at,
      actor,
      action: 'createUser',
      subjectType: 'User',
      subjectId: user.id,
      changes: changesBetween(null, user, ['displayName', 'email', 'kind', 'role', 'disabled']),
    });
  });
  return user;
}

/**
 * Gives a user another role; sockets that are open with the old one are closed.
 * @throws {NotFoundError}; {ConflictError} for the last administrator, and where an issuer decides the role.
 */
export async function setUserRole(
  services: PeopleServices,
  actor: SignedInActor,
  userId: string,
  role: Role,
): Promise<User> {
  return changeUser(services, actor, 'setUserRole', userId, async (manager, user) => {
    if (user.issuer !== null) {
      throw new ConflictError(
        'The role of this user comes from the OpenID Connect issuer, and would be overwritten at the next request.',
        'Change it there, or disable the user here (setUserDisabled).',
        'role',
      );
    }
    if (role !== Role.ADMINISTRATOR) await assertNotTheLastAdministrator(manager, user);
    return { role };
  });
}

/**
 * Keeps a user out, or lets them in again; open sockets are closed.
 * @throws {NotFoundError}; {ConflictError} for the last administrator.
 */
export async function setUserDisabled(
  services: PeopleServices,
  actor: SignedInActor,
  userId: string,
  disabled: boolean,
): Promise<User> {
  return changeUser(services, actor, 'setUserDisabled', userId, async (manager, user) => {
    if (disabled) await assertNotTheLastAdministrator(manager, user);
    return { disabled };
  });
}

/** @throws {NotFoundError} */
export async function findUser(manager: EntityManager, id: string): Promise<User> {
  const user = await manager.findOneBy(User, { id });
  if (user === null) throw new NotFoundError('user');
  return user;
}

async function changeUser(
  services: PeopleServices,
  actor: SignedInActor,
  action: string,
  userId: string,
  changeOf: (manager: EntityManager, user: User) => Promise<Partial<User>>,
): Promise<User> {
  return services.database.transact(async ({ manager, afterCommit }: Transaction) => {
    const before = await findUser(manager, userId);
    const user = Object.assign(new User(), before, await changeOf(manager, before));
    await manager.update(User, { id: userId }, { role: user.role, disabled: user.disabled });
    await record(manager, {
      at: new Date(services.clock.now()),
      actor,
      action,
      subjectType: 'User',
      subjectId: userId,
      changes: changesBetween(before, user, ['role', 'disabled']),
    });
    afterCommit(() => services.sessions.changed(userId));
    return user;
  });
}

/**
 * Somebody must always be able to let others in. Administrators of an issuer do not count: it may take the role away from
 * them at any time without asking here.
 */
async function assertNotTheLastAdministrator(manager: EntityManager, user: User): Promise<void> {
  if (user.role !== Role.ADMINISTRATOR || user.disabled || user.issuer !== null) return;
  const other = { id: Not(user.id), role: Role.ADMINISTRATOR, disabled: false, issuer: IsNull() };
  if (await manager.existsBy(User, other)) return;
  throw new ConflictError(
    'This is the last administrator: nobody could manage people any more.',
    'Make somebody else an administrator first (createUser, setUserRole).',
  );
}

function parseEmail(input: string | null | undefined): string | null {
  if (input === null || input === undefined) return null;
  const email = trimAscii(input);
  if (email.length > MAX_EMAIL_CHARACTERS || !EMAIL.test(email)) {
    throw new BadInputError(
      'email',
      'This is no e-mail address.',
      `Give an address like name@example.com, of at most ${MAX_EMAIL_CHARACTERS} characters, or leave it out.`,
    );
  }
  const problem = problemOfCharacters(email);
  if (problem !== undefined) throw new BadInputError('email', problem, 'Write the address without it.');
  return email;
}
