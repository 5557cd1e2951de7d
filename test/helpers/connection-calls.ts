import { GraphQLRequestError, type Sluice, type Variables } from './sluice.js';

/** What the tests ask of a connection: everything that the API shows. */
export const CONNECTION = `
  id displayName kind sharing state yourAccess host apiKeyHint profileLimit createdAt updatedAt checkedAt
  problem { code message remedy } exportUser { id displayName } updatedBy { id }
  consent { statement statementVersion acceptedAt acceptedBy { id displayName } }`;

export interface ConnectionAnswer {
  readonly id: string;
  readonly displayName: string;
  readonly kind: string;
  readonly sharing: string;
  readonly state: string;
  readonly yourAccess: string;
  readonly host: string | null;
  readonly apiKeyHint: string | null;
  readonly profileLimit: number;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly checkedAt: string | null;
  readonly problem: { code: string; message: string; remedy: string | null } | null;
  readonly exportUser: { id: string; displayName: string } | null;
  readonly updatedBy: { id: string } | null;
  readonly consent: {
    statement: string;
    statementVersion: string;
    acceptedAt: string;
    acceptedBy: { id: string; displayName: string };
  } | null;
}

/** The connection operations, as a client of the API calls them. */
export function connectionCalls(sluice: Sluice) {
  async function one(document: string, variables: Variables): Promise<ConnectionAnswer> {
    const { connection } = await sluice.query<{ connection: ConnectionAnswer }>(document, variables);
    return connection;
  }
  const about = (operation: string) => (connectionId: string) =>
    one(`mutation ($id: ID!) { connection: ${operation}(connectionId: $id) { ${CONNECTION} } }`, {
      id: connectionId,
    });

  const calls = {
    create: (input: Variables) =>
      one(
        `mutation ($input: CreateConnectionInput!) { connection: createConnection(input: $input) { ${CONNECTION} } }`,
        {
          input: { kind: 'ACTIVE_CAMPAIGN', displayName: 'Newsletter account', ...input },
        },
      ),

    update: (id: string, input: Variables) =>
      one(
        `mutation ($id: ID!, $input: UpdateConnectionInput!) {
          connection: updateConnection(id: $id, input: $input) { ${CONNECTION} } }`,
        { id, input },
      ),

    share: (id: string, sharing: string) =>
      one(
        `mutation ($id: ID!, $sharing: ConnectionSharing!) {
          connection: shareConnection(id: $id, sharing: $sharing) { ${CONNECTION} } }`,
        { id, sharing },
      ),

    get: (id: string) => one(`query ($id: ID!) { connection(id: $id) { ${CONNECTION} } }`, { id }),

    statement: async () => {
      const { consentStatement } = await sluice.query<{
        consentStatement: { version: string; text: string };
      }>('{ consentStatement(kind: ACTIVE_CAMPAIGN) { version text } }');
      return consentStatement;
    },

    agree: (connectionId: string, version: string) =>
      one(
        `mutation ($id: ID!, $version: String!) {
          connection: giveConsent(connectionId: $id, statementVersion: $version) { ${CONNECTION} } }`,
        { id: connectionId, version },
      ),

    /** Reads the statement and agrees to it. */
    giveConsent: async (connectionId: string) => {
      const { version } = await calls.statement();
      return calls.agree(connectionId, version);
    },

    withdrawConsent: about('withdrawConsent'),
    connect: about('connect'),
    becomeExportUser: about('becomeExportUser'),

    lists: async (connectionId: string) => {
      const { destinationLists } = await sluice.query<{ destinationLists: { id: string; name: string }[] }>(
        'query ($id: ID!) { destinationLists(connectionId: $id) { id name } }',
        { id: connectionId },
      );
      return destinationLists;
    },

    remove: async (id: string) => {
      const { removeConnection } = await sluice.query<{ removeConnection: boolean }>(
        'mutation ($id: ID!) { removeConnection(id: $id) }',
        { id },
      );
      return removeConnection;
    },
  };
  return calls;
}

/** What the API answered instead of data; fails if it answered data. */
export async function refusalOf(
  attempt: Promise<unknown>,
): Promise<{ message: string; code: string; remedy?: string; field?: string; requestId?: string }> {
  const error: unknown = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof GraphQLRequestError) || error.failures[0] === undefined) {
    throw new Error(`Expected a refusal, but got ${String(error)}.`);
  }
  const { message, extensions } = error.failures[0];
  return { message, ...extensions };
}
