import type { EntityManager } from 'typeorm';
import { dialectOf } from '../bulk-sql.js';
import type { RejectionReason } from '../entities/rejection.js';

/** Somebody who did not arrive, and why. */
export interface NewRejection {
  readonly profileId: string;
  readonly email: string | null;
  readonly reason: RejectionReason;
  readonly detail: string;
}

const COLUMNS = { profileId: 'text', email: 'text', reason: 'text', detail: 'text' } as const;

/** Writes down people of a run who did not arrive, in one statement. */
export async function addRejections(
  manager: EntityManager,
  runId: string,
  rejections: readonly NewRejection[],
): Promise<void> {
  if (rejections.length === 0) return;
  const rows = rejections.map(({ profileId, email, reason, detail }) => [profileId, email, reason, detail]);
  await manager.query(
    `INSERT INTO "rejections" ("runId", "profileId", "email", "reason", "detail")
     SELECT $1, "profileId", "email", "reason", "detail"
     FROM ${dialectOf(manager).table('$2', COLUMNS)} AS "rows"`,
    [runId, JSON.stringify(rows)],
  );
}
