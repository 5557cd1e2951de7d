import { execute } from '../bulk-sql.js';
import type { Clock } from '../clock.js';
import type { Database } from '../database.js';
import { AuditRetention } from '../entities/audit-event.js';

const DAY_MS = 24 * 60 * 60_000;
/** Events that one step removes: some 50 ms. */
const CHUNK = 10_000;
const ONLY_ROW = 1;

/**
 * Tells the database for how long its trigger has to keep events, and removes the older ones in small steps. Done at
 * every start: a server that runs for longer keeps events for longer.
 */
export async function keepAuditEvents(
  { database, clock }: { readonly database: Database; readonly clock: Clock },
  days: number,
): Promise<void> {
  await database.transact(({ manager }) => manager.save(AuditRetention, { id: ONLY_ROW, days }));
  const before = new Date(clock.now() - days * DAY_MS).toISOString();
  for (let removed = CHUNK; removed === CHUNK;) {
    removed = await database.transact(({ manager }) =>
      execute(
        manager,
        `DELETE FROM "audit_events" WHERE "id" IN
         (SELECT "id" FROM "audit_events" WHERE "at" < $1 ORDER BY "at" LIMIT ${CHUNK})`,
        [before],
      ),
    );
  }
}
