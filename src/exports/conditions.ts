import type { EntityManager } from 'typeorm';
import { ConnectionState, Connection } from '../entities/connection.js';
import { Consent } from '../entities/consent.js';
import { Export } from '../entities/export.js';
import type { ExportRun } from '../entities/export-run.js';
import type { Problem } from '../entities/problem.js';
import { User } from '../entities/user.js';
import { IsNull } from 'typeorm';

/** What must be true whenever profile data leaves: looked at again in the transaction that commits each intent. */
export type Conditions =
  | { readonly problem: null; readonly connection: Connection }
  /** The first thing that is wrong. */
  | { readonly problem: Problem };

/** Looks at the conditions of a run that is under way or about to begin. */
export async function lookAgain(manager: EntityManager, run: ExportRun): Promise<Conditions> {
  const connection = await manager.findOneBy(Connection, { id: run.connectionId });
  const definition = await manager.findOneBy(Export, { id: run.exportId });
  if (connection === null || definition?.connectionId !== connection.id) {
    return { problem: DETACHED };
  }
  if (connection.revision !== run.connectionRevision) return { problem: CHANGED };
  const problem = await connectionProblem(manager, connection);
  return problem === null ? { problem, connection } : { problem };
}

/** Why nothing may be sent through this connection now; null: it may. */
export async function connectionProblem(
  manager: EntityManager,
  connection: Connection,
): Promise<Problem | null> {
  const consented = await manager.existsBy(Consent, { connectionId: connection.id, withdrawnAt: IsNull() });
  if (!consented) return CONSENT_REQUIRED;
  if (connection.state !== ConnectionState.CONNECTED) return connection.problem ?? NOT_CONNECTED;
  if (connection.exportUserId === null) return NO_EXPORT_USER;
  const exportUser = await manager.findOneBy(User, { id: connection.exportUserId });
  return exportUser === null || exportUser.disabled ? EXPORT_USER_UNABLE : null;
}

const DETACHED: Problem = {
  code: 'DETACHED',
  message: 'The export was detached from its connection.',
  remedy: 'Attach the export to a connection, then run it again.',
};
const CHANGED: Problem = {
  code: 'CONNECTION_CHANGED',
  message: 'The host or the key of the connection was changed.',
  remedy: 'Connect again, then run the export again.',
};
const CONSENT_REQUIRED: Problem = {
  code: 'CONSENT_REQUIRED',
  message: 'No administrator agrees to the privacy statement for this connection.',
  remedy: 'An administrator reads the statement (consentStatement) and agrees to it (giveConsent).',
};
const NOT_CONNECTED: Problem = {
  code: 'NOT_CONNECTED',
  message: 'The credentials of the connection have not been checked since they were entered.',
  remedy: 'An administrator connects it (connect).',
};
const NO_EXPORT_USER: Problem = {
  code: 'NO_EXPORT_USER',
  message: 'The connection has no export user.',
  remedy: 'An administrator becomes its export user (becomeExportUser).',
};
const EXPORT_USER_UNABLE: Problem = {
  code: 'EXPORT_USER_UNABLE',
  message: 'The export user of the connection is disabled.',
  remedy: 'Another administrator becomes the export user (becomeExportUser).',
};

/** The list that a run should fill is not there (any more). */
export function listGone(listId: string): Problem {
  return {
    code: 'LIST_GONE',
    message: `The list ${listId} does not exist at the destination.`,
    remedy: 'Choose another list for the export, or make the list again and choose it.',
  };
}
