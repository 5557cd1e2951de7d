import { changesBetween } from '../audit/changes.js';
import { record } from '../audit/record.js';
import type { Clock } from '../clock.js';
import type { Database } from '../database.js';
import { PrincipalKind, Role, User } from '../entities/user.js';
import { newId } from '../ids.js';
import type { Logger } from '../logger.js';
import { problemOfName } from '../names.js';
import {
  createIssuerTokens,
  IssuerTokenError,
  IssuerUnavailableError,
  type IssuerSettings,
  type VerifiedToken,
} from '../security/issuer-tokens.js';
import type { Principal } from './principal.js';
import { RefusedSignInError, UncheckedSignInError } from './refused-sign-in.js';
import type { Sessions } from './sessions.js';

/** Vouches for people with JWTs. */
export interface Issuer {
  /**
   * Whom the token names. Who comes for the first time becomes a user; the issuer decides the role, every time anew.
   * @throws {UnauthenticatedError}
   */
  readonly principalOf: (token: string, address: string | null, logger: Logger) => Promise<Principal>;
}

export interface IssuerRules extends IssuerSettings {
  /** The claim that holds the role, or several: a name, or a path with dots. */
  readonly roleClaim: string;
  /** What the claim's values mean. */
  readonly roles: ReadonlyMap<string, Role>;
}

interface IssuerServices {
  readonly database: Database;
  readonly clock: Clock;
  readonly sessions: Sessions;
}

/** What the issuer says of a user; what it does not say is left out. */
interface Described {
  readonly role: Role;
  readonly displayName?: string;
  readonly email?: string;
}

const SAID = ['displayName', 'email', 'kind', 'role'] as const;

export function createIssuer(services: IssuerServices, rules: IssuerRules): Issuer {
  const verify = createIssuerTokens(rules, services.clock);
  return {
    principalOf: async (token, address, logger) => {
      const verified = await verify(token).catch((error: unknown) => {
        throw asRefusal(logger, error);
      });
      const role = roleOf(verified, rules);
      if (role === undefined) {
        throw new RefusedSignInError(
          'The issuer gives you no role here.',
          'Ask whoever manages your accounts for a role in Sluice.',
        );
      }
      const user = await userOf(services, rules.url, verified, role, address);
      return { user, apiTokenId: null, endsAt: verified.expiresAt };
    },
  };
}

function asRefusal(logger: Logger, error: unknown): unknown {
  if (error instanceof IssuerTokenError) {
    return new RefusedSignInError(error.message, 'Sign in again, to get a new token.');
  }
  if (!(error instanceof IssuerUnavailableError)) return error;
  logger.warn({ err: error.cause ?? error }, 'the keys of the OpenID Connect issuer cannot be had');
  return new UncheckedSignInError(error.message, 'Try again in a minute.');
}

/** The highest role that the claim names. */
function roleOf({ claims }: VerifiedToken, { roleClaim, roles }: IssuerRules): Role | undefined {
  const value = claims[roleClaim] ?? claimAt(claims, roleClaim.split('.'));
  const named = (Array.isArray(value) ? value : [value]).map((item) => roles.get(String(item)));
  return Object.values(Role).findLast((role) => named.includes(role));
}

function claimAt(claims: unknown, path: readonly string[]): unknown {
  const [name, ...rest] = path;
  if (name === undefined) return claims;
  if (typeof claims !== 'object' || claims === null || !Object.hasOwn(claims, name)) return undefined;
  return claimAt((claims as Record<string, unknown>)[name], rest);
}

async function userOf(
  services: IssuerServices,
  issuer: string,
  verified: VerifiedToken,
  role: Role,
  address: string | null,
): Promise<User> {
  const { subject } = verified;
  const said = { role, ...namesOf(verified) };
  const known = await services.database.reader.findOneBy(User, { issuer, subject });
  if (known !== null && !differs(known, said)) return known;

  const at = new Date(services.clock.now());
  return services.database.transact(async ({ manager, afterCommit }) => {
    const before = await manager.findOneBy(User, { issuer, subject });
    const after = Object.assign(new User(), before ?? newUser(issuer, verified, at), said);
    if (before !== null && !differs(before, said)) return before;
    await manager.save(User, after);
    await record(manager, {
      at,
      actor: { id: after.id, address },
      action: 'userFromIssuer',
      subjectType: 'User',
      subjectId: after.id,
      changes: changesBetween(before, after, SAID),
    });
    afterCommit(() => services.sessions.changed(after.id));
    return after;
  });
}

function differs(user: User, said: Described): boolean {
  return Object.entries(said).some(([field, value]) => user[field as keyof Described] !== value);
}

function newUser(issuer: string, { subject, claims }: VerifiedToken, createdAt: Date): User {
  // A token that a program got for itself names the program twice (RFC 9068, 2.2 and 5).
  const isProgram = claims.client_id === subject || claims.azp === subject;
  return {
    id: newId(),
    displayName: problemOfName(subject) === undefined ? subject : 'Unnamed',
    email: null,
    kind: isProgram ? PrincipalKind.APPLICATION : PrincipalKind.PERSON,
    role: Role.VIEWER,
    disabled: false,
    issuer,
    subject,
    createdAt,
  };
}

/** Access tokens often name nobody: what is known from another time then stays. */
function namesOf({ claims }: VerifiedToken): Omit<Described, 'role'> {
  const usable = [claims.name, claims.preferred_username].find(
    (name): name is string => typeof name === 'string' && problemOfName(name) === undefined,
  );
  const { email } = claims;
  const hasEmail = typeof email === 'string' && problemOfName(email) === undefined;
  return { ...(usable !== undefined && { displayName: usable }), ...(hasEmail && { email }) };
}
