import type { EntityManager } from 'typeorm';
import { dialectOf } from '../bulk-sql.js';
import type { Clock } from '../clock.js';
import type { DestinationLimits } from '../destinations/destination.js';
import type { EarlierTries } from './circuit-breaker.js';
import type { PlannedEntry } from './planned.js';

/*
 * What the stored batches of an account tell about an outage of its importer. The outage outlives the runs that noticed it
 * and the process: a small run ends when its only batch has used up its tries, and the next run of the account must neither
 * use up the tries of another batch at once nor send the same people again.
 *
 * The tries without proof since the last proof belong to the present outage. A proof is a batch that was accepted, or refused
 * because of its contacts. Losses end with a batch that was completed. A batch that is RESOLVED, because a later run asked about
 * it, still counts: most answers only say that it was lost.
 */

/** How long after its last try an outage is remembered, in intervals between tests: two days, for exports that run once a day. */
const REMEMBERED = 2 * 24 * 60;

/**
 * How long people who have used up their tries are not sent, unless another batch proves that the outage is over. In
 * intervals between tests: an hour.
 */
const REST = 60;

/** A batch of the account with tries without proof in the present outage. `$1`: the account. `$2`: since when at most. */
const TRIED = `"recent" AS (
    SELECT "run"."ledgerId", "batches"."fromKey", "batches"."toKey", "batches"."state", "batches"."unprovenTries",
      "batches"."losses", "batches"."rejected", "batches"."intentAt", COALESCE("batches"."acceptedAt", '') AS "acceptedAt"
    FROM "export_runs" AS "run" CROSS JOIN "batches"
    WHERE "run"."account" = $1 AND ("run"."finishedAt" IS NULL OR "run"."finishedAt" >= $2)
      AND "batches"."runId" = "run"."id" AND "batches"."intentAt" >= $2),
  "proof" AS (
    SELECT COALESCE(MAX(CASE WHEN "state" = 'SETTLED' AND "acceptedAt" = '' AND "rejected" > 0 THEN "intentAt"
        WHEN "state" = 'SETTLED' OR "losses" = 0 THEN "acceptedAt" END), '') AS "answeredAt",
      COALESCE(MAX(CASE WHEN "state" = 'SETTLED' THEN "acceptedAt" END), '') AS "completedAt"
    FROM "recent"),
  "counted" AS (
    SELECT "ledgerId", "fromKey", "toKey", "intentAt",
      CASE WHEN "intentAt" > "answeredAt" THEN "unprovenTries" - "losses" ELSE 0 END AS "failed",
      CASE WHEN "intentAt" > "answeredAt" AND "state" = 'SENDING' THEN 1 ELSE 0 END AS "open",
      CASE WHEN "acceptedAt" > "completedAt" THEN "losses" ELSE 0 END AS "lost"
    FROM "recent" CROSS JOIN "proof"
    WHERE "state" IN ('PLANNED', 'SENDING', 'UNCONFIRMED', 'RESOLVED')),
  "tried" AS (SELECT * FROM "counted" WHERE "failed" + "open" + "lost" > 0)`;

type Intervals = Pick<DestinationLimits, 'testIntervalMs'>;

/** The tries of the account's batches in the present outage. */
export async function earlierTries(
  reader: EntityManager,
  clock: Clock,
  account: string,
  { testIntervalMs }: Intervals,
): Promise<EarlierTries> {
  const now = clock.now();
  // Postgres adds up in 64 bits, which its driver gives as text.
  type Sums = Record<'batches' | 'failed' | 'open' | 'lost', number | string | null>;
  const [row] = await reader.query<[Sums & { lastAt: string | null }]>(
    `WITH ${TRIED} SELECT COUNT(*) AS "batches", SUM("failed") AS "failed", SUM("open") AS "open",
       SUM("lost") AS "lost", MAX("intentAt") AS "lastAt" FROM "tried"`,
    [account, since(now, REMEMBERED * testIntervalMs)],
  );
  const [failed, open, lost] = [Number(row.failed ?? 0), Number(row.open ?? 0), Number(row.lost ?? 0)];
  return {
    batches: Number(row.batches),
    tries: failed + open + lost,
    failures: failed + lost,
    losses: lost,
    sinceMs: row.lastAt === null ? 0 : passedSince(now, row.lastAt),
  };
}

/** How often people were sent without proof in the present outage. */
export interface Spent {
  /** How often the one who was sent most often. */
  readonly tries: number;
  /** How much longer these tries count, in milliseconds. */
  readonly forMs: number;
}

/** @returns how often these people were sent by any run of the account, which is within the last hour. */
export async function spentOn(
  reader: EntityManager,
  clock: Clock,
  account: string,
  { testIntervalMs }: Intervals,
  entries: readonly Pick<PlannedEntry, 'emailKey'>[],
): Promise<Spent> {
  const now = clock.now();
  const restMs = REST * testIntervalMs;
  // Whom the ledger has within the range of a batch was in the batch, or was delivered before.
  const [most] = await reader.query<{ tries: number | string; lastAt: string }[]>(
    `WITH ${TRIED} SELECT SUM("failed" + "open" + "lost") AS "tries", MAX("intentAt") AS "lastAt"
     FROM "tried" CROSS JOIN "ledger_entries"
     WHERE "ledger_entries"."ledgerId" = "tried"."ledgerId" AND "emailKey" >= "fromKey" AND "emailKey" <= "toKey"
       AND "emailKey" IN ${dialectOf(reader).list('$3')}
     GROUP BY "emailKey" ORDER BY "tries" DESC, "lastAt" DESC LIMIT 1`,
    [account, since(now, restMs), JSON.stringify(entries.map(({ emailKey }) => emailKey))],
  );
  if (most === undefined) return { tries: 0, forMs: 0 };
  return { tries: Number(most.tries), forMs: restMs - passedSince(now, most.lastAt) };
}

function since(now: number, ms: number): string {
  return new Date(now - ms).toISOString();
}

/** A clock that was put back shows less than nothing. */
function passedSince(now: number, at: string): number {
  return Math.max(0, now - Date.parse(at));
}
