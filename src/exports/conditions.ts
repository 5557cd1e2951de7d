import type { EntityManager } from 'typeorm';
import { dialectOf } from '../bulk-sql.js';
import { ConnectionState, type Connection } from '../entities/connection.js';
import type { ExportRun, ExportRunState } from '../entities/export-run.js';
import type { Problem } from '../entities/problem.js';
import { Role } from '../entities/user.js';

/** What a look at a run and its connection found, right before a request. */
export interface Look {
  /** As it is now: somebody may have asked for an end. */
  readonly state: ExportRunState;
  /** The first thing that is wrong; null: profile data may leave. */
  readonly problem: Problem | null;
  readonly connection: Pick<Connection, 'id' | 'host' | 'sealedApiKey'>;
}

/**
 * Looks at everything that must be true whenever profile data leaves, in one statement: it is done before every request.
 * @returns undefined if the run is at another attempt: somebody else has it.
 */
export async function lookAgain(manager: EntityManager, run: ExportRun): Promise<Look | undefined> {
  const [found]: (Facts & LookRow)[] = await manager.query(
    `SELECT "run"."state" AS "runState", "export"."connectionId" AS "attachedTo",
       "connection"."id", "connection"."host", "connection"."sealedApiKey", "connection"."revision",
       "connection"."state", "connection"."problem", "connection"."exportUserId", "user"."disabled", "user"."role",
       EXISTS (SELECT 1 FROM "consents" WHERE "connectionId" = "connection"."id" AND "withdrawnAt" IS NULL) AS "consented"
     FROM "export_runs" AS "run"
       LEFT JOIN "exports" AS "export" ON "export"."id" = "run"."exportId"
       LEFT JOIN "connections" AS "connection" ON "connection"."id" = "run"."connectionId"
       LEFT JOIN "users" AS "user" ON "user"."id" = "connection"."exportUserId"
     WHERE "run"."id" = $1 AND "run"."attempt" = $2`,
    [run.id, run.attempt],
  );
  if (found === undefined) return undefined;
  const { runState: state, ...connection } = found;
  return { state, connection, problem: problemOfRun(run, found) };
}

interface LookRow extends Pick<Connection, 'id' | 'host' | 'sealedApiKey' | 'revision'> {
  readonly runState: ExportRunState;
  readonly attachedTo: string | null;
}

function problemOfRun(run: ExportRun, found: Facts & LookRow): Problem | null {
  if (found.attachedTo === null || found.attachedTo !== found.id) return DETACHED;
  return found.revision === run.connectionRevision ? obstacle(found) : CHANGED;
}

/** Why nothing may be sent through this connection now; null: it may. */
export async function connectionProblem(
  manager: EntityManager,
  { id }: Pick<Connection, 'id'>,
): Promise<Problem | null> {
  return (await connectionProblems(manager, [id])).get(id) ?? null;
}

/** The same for several connections, by their ids, with one statement. */
export async function connectionProblems(
  manager: EntityManager,
  ids: readonly string[],
): Promise<Map<string, Problem | null>> {
  const rows = await manager.query<(Facts & { id: string })[]>(
    `SELECT "connection"."id", "connection"."state", "connection"."problem", "connection"."exportUserId", "user"."disabled",
       "user"."role", EXISTS (SELECT 1 FROM "consents" WHERE "connectionId" = "connection"."id" AND "withdrawnAt" IS NULL)
         AS "consented"
     FROM "connections" AS "connection" LEFT JOIN "users" AS "user" ON "user"."id" = "connection"."exportUserId"
     WHERE "connection"."id" IN ${dialectOf(manager).list('$1')}`,
    [JSON.stringify(ids)],
  );
  const found = new Map(rows.map((facts) => [facts.id, obstacle(facts)]));
  return new Map(ids.map((id) => [id, found.has(id) ? (found.get(id) ?? null) : DETACHED]));
}

/** What decides whether a connection may be used, as the database has it. */
interface Facts {
  readonly consented: boolean | 0 | 1;
  readonly state: ConnectionState;
  /** A Problem as JSON. */
  readonly problem: string | null;
  readonly exportUserId: string | null;
  /** Null: there is no such user. */
  readonly disabled: boolean | 0 | 1 | null;
  readonly role: Role | null;
}

function obstacle({ consented, state, problem, exportUserId, disabled, role }: Facts): Problem | null {
  if (!consented) return CONSENT_REQUIRED;
  if (state !== ConnectionState.CONNECTED)
    return problem === null ? NOT_CONNECTED : (JSON.parse(problem) as Problem);
  if (exportUserId === null) return NO_EXPORT_USER;
  if (disabled === null || Boolean(disabled)) return EXPORT_USER_DISABLED;
  return role === Role.ADMINISTRATOR ? null : EXPORT_USER_DEMOTED;
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
  message:
    'No administrator agrees to the privacy statement for this connection, or not to its present version.',
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
const EXPORT_USER_DISABLED: Problem = {
  code: 'EXPORT_USER_UNABLE',
  message: 'The export user of the connection is disabled.',
  remedy: 'Another administrator becomes the export user (becomeExportUser).',
};
const EXPORT_USER_DEMOTED: Problem = {
  code: 'EXPORT_USER_UNABLE',
  message: 'The export user of the connection is no administrator any more.',
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
