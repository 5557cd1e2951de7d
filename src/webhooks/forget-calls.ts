import { execute } from '../bulk-sql.js';
import type { Clock } from '../clock.js';
import type { Database } from '../database.js';

/** How long a webhook-id is remembered. */
const REMEMBERED_MS = 7 * 24 * 60 * 60_000;
const INTERVAL_MS = 60 * 60_000;
/** Rows that one step removes: some 50 ms. */
const CHUNK = 10_000;

/** A chore that removes, every hour, the calls of more than a week ago and those of removed triggers. */
export function createForgetting(services: {
  readonly database: Database;
  readonly clock: Clock;
}): () => Promise<void> {
  const { database, clock } = services;
  let nextAt = -Infinity;
  return async () => {
    if (clock.monotonic() < nextAt) return;
    nextAt = clock.monotonic() + INTERVAL_MS;
    const before = new Date(clock.now() - REMEMBERED_MS).toISOString();
    await removeInSteps(database, '"receivedAt" < $1', [before]);
    await removeInSteps(database, '"triggerId" NOT IN (SELECT "id" FROM "triggers")', []);
  };
}

async function removeInSteps(database: Database, where: string, parameters: unknown[]): Promise<void> {
  const rows = `SELECT "triggerId", "webhookId" FROM "trigger_calls" WHERE ${where} LIMIT ${CHUNK}`;
  const sql = `DELETE FROM "trigger_calls" WHERE ("triggerId", "webhookId") IN (${rows})`;
  for (let removed = CHUNK; removed === CHUNK;) {
    removed = await database.transact(({ manager }) => execute(manager, sql, parameters));
  }
}
