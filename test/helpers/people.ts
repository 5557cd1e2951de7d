import type { Sluice } from './sluice.js';

export type RoleName = 'VIEWER' | 'CONTRIBUTOR' | 'ADMINISTRATOR';
export const ROLES: readonly RoleName[] = ['VIEWER', 'CONTRIBUTOR', 'ADMINISTRATOR'];

export interface IssuedToken {
  readonly id: string;
  readonly token: string;
}

/** A user of this role. Answers the id. */
export async function newUser(sluice: Sluice, role: RoleName, displayName = `A ${role}`): Promise<string> {
  const { createUser } = await sluice.query<{ createUser: { id: string } }>(
    'mutation ($input: CreateUserInput!) { createUser(input: $input) { id } }',
    { input: { displayName, role } },
  );
  return createUser.id;
}

export async function newTokenOf(sluice: Sluice, userId: string, expiresAt?: Date): Promise<IssuedToken> {
  const { issueApiToken } = await sluice.query<{
    issueApiToken: { token: string; apiToken: { id: string } };
  }>(
    `mutation ($userId: ID!, $expiresAt: DateTime) {
      issueApiToken(userId: $userId, name: "Tests", expiresAt: $expiresAt) { token apiToken { id } }
    }`,
    { userId, expiresAt: expiresAt?.toISOString() },
  );
  return { id: issueApiToken.apiToken.id, token: issueApiToken.token };
}

/** The server as a new user of this role sees it. */
export async function signedInAs(
  sluice: Sluice,
  role: RoleName,
): Promise<Sluice & { readonly userId: string }> {
  const userId = await newUser(sluice, role);
  const { token } = await newTokenOf(sluice, userId);
  return Object.assign(sluice.as(token), { userId });
}

export const setRole = (sluice: Sluice, userId: string, role: RoleName) =>
  sluice.query(
    'mutation ($userId: ID!, $role: Role!) { setUserRole(userId: $userId, role: $role) { role } }',
    {
      userId,
      role,
    },
  );

export const setDisabled = (sluice: Sluice, userId: string, disabled: boolean) =>
  sluice.query(
    'mutation ($userId: ID!, $disabled: Boolean!) { setUserDisabled(userId: $userId, disabled: $disabled) { id } }',
    { userId, disabled },
  );

export const revoke = (sluice: Sluice, tokenId: string) =>
  sluice.query('mutation ($id: ID!) { revokeApiToken(id: $id) { revokedAt } }', { id: tokenId });

export interface AuditRow {
  readonly id: string;
  readonly at: string;
  readonly actor: { readonly id: string } | null;
  readonly action: string;
  readonly subjectType: string;
  readonly subjectId: string;
  readonly result: string;
  readonly detail:
    ({ readonly changes?: Record<string, { old: unknown; new: unknown }> } & Record<string, unknown>) | null;
  readonly clientAddress: string | null;
}

/** The latest events first. @param filter arguments of `auditEvents`, like `action: "connect"`. */
export async function auditOf(sluice: Sluice, filter = ''): Promise<AuditRow[]> {
  const { auditEvents } = await sluice.query<{ auditEvents: { nodes: AuditRow[] } }>(
    `{ auditEvents(first: 100${filter === '' ? '' : `, ${filter}`}) {
      nodes { id at actor { id } action subjectType subjectId result detail clientAddress } } }`,
  );
  return auditEvents.nodes;
}
