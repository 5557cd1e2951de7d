import type { EntityManager } from 'typeorm';
import type { Database } from '../database.js';
import { compareUtf8, execute, jsonItem, jsonTable } from '../bulk-sql.js';
import { StagedMember } from '../entities/ledger.js';
import type { ExportRun } from '../entities/export-run.js';
import { RejectionReason } from '../entities/rejection.js';
import { countPlannedIn, isDelivered } from './ledger.js';
import type { WantedContact } from './mapping.js';

/*
 * Members come in the order of their ids, the ledger lies in the order of e-mail keys, and a million random upserts take
 * half a minute. So members are staged in chunks, each sorted by key, and the ledger is then written range by range:
 * every range takes its slice of every chunk, and both tables are only ever appended to or walked along.
 */

/** A member on its way into the ledger. */
export interface Staged {
  readonly emailKey: string;
  readonly profileId: string;
  readonly wanted: WantedContact;
}

/** From one chosen key to the next within a chunk; a range spans a few of these from all chunks together. */
const SAMPLE_EVERY = 1_000;
/** Contacts in a range, about: one statement of some 50 ms. */
const RANGE = 8_000;

/** The chunks of one run, and enough of their keys to cut them into ranges of even size. */
export interface Staging {
  chunks: number;
  readonly sample: string[];
}

export function createStaging(): Staging {
  return { chunks: 0, sample: [] };
}

/** Removes everything that is staged for a ledger, a chunk at a time. */
export async function clearStaging(database: Database, ledgerId: number): Promise<void> {
  for (;;) {
    const last = await database.reader.maximum(StagedMember, 'chunk', { ledgerId });
    if (last === null) return;
    await database.transact(({ manager }) => manager.delete(StagedMember, { ledgerId, chunk: last }));
  }
}

/** Writes one chunk, sorted by key. */
export async function stageChunk(
  manager: EntityManager,
  ledgerId: number,
  staging: Staging,
  members: Staged[],
): Promise<void> {
  members.sort((a, b) => compareUtf8(a.emailKey, b.emailKey) || compareUtf8(a.profileId, b.profileId));
  const rows = members.map(({ emailKey, profileId, wanted }) => [
    emailKey,
    profileId,
    JSON.stringify(wanted),
  ]);
  await manager.query(
    `INSERT INTO "staged_members" ("ledgerId", "chunk", "emailKey", "profileId", "wanted")
     SELECT $1, $2, "emailKey", "profileId", "wanted"
     FROM ${jsonTable('$3', ['emailKey', 'profileId', 'wanted'])} AS "rows"`,
    [ledgerId, staging.chunks, JSON.stringify(rows)],
  );
  staging.chunks += 1;
  for (let at = SAMPLE_EVERY; at < members.length; at += SAMPLE_EVERY) {
    const member = members[at];
    if (member !== undefined) staging.sample.push(member.emailKey);
  }
}

/** Cuts everything staged into ranges [from, to) of about equal size; `to` is undefined in the last. */
export function rangesOf(staging: Staging): { from: string; to: string | undefined }[] {
  if (staging.chunks === 0) return [];
  const sorted = staging.sample.sort(compareUtf8);
  const step = RANGE / SAMPLE_EVERY;
  const cuts = [...new Set(sorted.filter((_, index) => index % step === step - 1))];
  return ['', ...cuts].map((from, index) => ({ from, to: cuts[index] }));
}

/**
 * How many of a range are planned, how many are at the destination as they should be, and how many share their address
 * with a profile that comes before them.
 */
export interface RangeCounts {
  readonly planned: number;
  readonly unchanged: number;
  readonly duplicates: number;
}

/**
 * Writes one range into the ledger in key order. Of profiles with one address the first by id counts, the others become
 * rejections. Who is at the destination as wanted is not planned, unless the run is forced.
 */
export async function writeRange(
  manager: EntityManager,
  run: ExportRun,
  staging: Staging,
  range: { from: string; to: string | undefined },
): Promise<RangeCounts> {
  const keys = range.to === undefined ? [range.from] : [range.from, range.to];
  const plan = run.force
    ? 'excluded."plannedRun"'
    : `CASE WHEN ${isDelivered('excluded."wanted"')} THEN NULL ELSE excluded."plannedRun" END`;
  const written = await execute(
    manager,
    `INSERT INTO "ledger_entries" ("ledgerId", "emailKey", "profileId", "plannedRun", "wanted", "doubtful", "everSent")
     SELECT $1, "emailKey", "profileId", $2, "wanted", FALSE, 0
     FROM ${rankedByAddress(staging, '$1', '$3', range.to === undefined ? undefined : '$4')}
     WHERE "place" = 1 ORDER BY "emailKey"
     ON CONFLICT ("ledgerId", "emailKey") DO UPDATE SET
       "profileId" = excluded."profileId", "wanted" = excluded."wanted",
       "plannedRun" = ${plan}`,
    [run.ledgerId, run.number, ...keys],
  );
  const planned = await countPlannedIn(manager, run, range);
  const duplicates = await execute(
    manager,
    `INSERT INTO "rejections" ("runId", "profileId", "email", "reason", "detail")
     SELECT $1, "profileId", ${jsonItem('"wanted"', 0)}, $2, 'The profile ' || "winner" || ' has the same address.'
     FROM ${rankedByAddress(staging, '$3', '$4', range.to === undefined ? undefined : '$5')}
     WHERE "place" > 1 ORDER BY "profileId"`,
    [run.id, RejectionReason.DUPLICATE_EMAIL, run.ledgerId, ...keys],
  );
  return { planned, unchanged: written - planned, duplicates };
}

/** The staged members of a range, each with its place among those of the same address and the first of them. */
function rankedByAddress(staging: Staging, ledgerId: string, from: string, to: string | undefined): string {
  const chunks = Array.from({ length: staging.chunks }, (_, chunk) => chunk).join(', ');
  return `(
    SELECT "emailKey", "profileId", "wanted",
      ROW_NUMBER() OVER "sameAddress" AS "place", FIRST_VALUE("profileId") OVER "sameAddress" AS "winner"
    FROM "staged_members"
    WHERE "ledgerId" = ${ledgerId} AND "chunk" IN (${chunks})
      AND "emailKey" >= ${from} ${to === undefined ? '' : `AND "emailKey" < ${to}`}
    WINDOW "sameAddress" AS (PARTITION BY "emailKey" ORDER BY "profileId")
  ) AS "ranked"`;
}
