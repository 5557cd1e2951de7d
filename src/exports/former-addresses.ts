import type { EntityManager } from 'typeorm';
import { dialectOf, execute } from '../bulk-sql.js';
import type { Database } from '../database.js';
import { emailKeyOf } from '../email-address.js';
import { Export } from '../entities/export.js';
import type { ExportRun } from '../entities/export-run.js';
import { LedgerTask, Standing } from '../entities/ledger.js';
import type { Attributes } from '../entities/profile.js';
import { ledgerPages, type Finding } from './compare.js';
import type { LeaverRule } from './differences.js';
import type { KeyRange, LedgerPlace, Neighbour } from './ledger.js';
import type { WantedContact } from './mapping.js';

/*
 * A person who opted out does not come in again by a new address. The destination knows addresses, not people: so it is
 * noted which addresses a profile had, and newcomers who had one are looked up first (see check-people.ts).
 */

/** An address that a profile had. */
export interface FormerAddress {
  readonly profileId: string;
  readonly emailKey: string;
  readonly email: string;
}

/**
 * The addresses that lost their profile: nobody has them any more, or somebody else. Where nobody knows who left, an entry
 * without a member is left as it is, and has not lost anybody.
 */
export function lostAddresses(findings: readonly Finding[]): FormerAddress[] {
  return findings.flatMap(({ emailKey, known, member, next }) => {
    const isLost = known !== undefined && !known.gone && known.profileId !== member?.profileId;
    if (!isLost || (member === undefined && next === undefined)) return [];
    const [email] = JSON.parse(known.wanted) as WantedContact;
    return [{ profileId: known.profileId, emailKey, email }];
  });
}

const COLUMNS = { profileId: 'text', emailKey: 'text', email: 'text' } as const;

/** Notes addresses that profiles had; what is noted already stays. */
export async function noteFormerAddresses(
  manager: EntityManager,
  run: ExportRun,
  addresses: readonly FormerAddress[],
): Promise<void> {
  if (addresses.length === 0) return;
  const names = Object.keys(COLUMNS)
    .map((column) => `"${column}"`)
    .join(', ');
  const rows = addresses.map(({ profileId, emailKey, email }) => [profileId, emailKey, email]);
  await execute(
    manager,
    `INSERT INTO "former_addresses" ("ledgerId", ${names}) SELECT $1, ${names}
     FROM ${dialectOf(manager).table('$2', COLUMNS)} AS "rows" WHERE TRUE ON CONFLICT DO NOTHING`,
    [run.ledgerId, JSON.stringify(rows)],
  );
}

/** A ledger, and the export whose mapping says which address a profile has there. */
type LedgerOfExport = Pick<Neighbour, 'ledgerId' | 'exportId'>;

/**
 * The ledgers that may know other addresses of a run's newcomers: those of the other exports to the list; and the run's
 * own, if it has not noted whose addresses were lost because a segment is inactive.
 */
export function ledgersWithFormerAddresses(
  { exportId }: ExportRun,
  { ledgerId, neighbours }: LedgerPlace,
  leavers: LeaverRule,
): LedgerOfExport[] {
  const own = leavers === 'UNKNOWN' && ledgerId !== null ? [{ ledgerId, exportId }] : [];
  return [...own, ...neighbours];
}

/**
 * What these ledgers know of newcomers' other addresses. They may not have run since the profile got
 * another one, so an address counts if the profile does not have it any more. An export that maps another attribute has
 * every profile by another address, and means it so.
 * @param newcomers the address that each profile comes with, by profile id.
 */
export async function addressesElsewhere(
  { reader, scanner }: Pick<Database, 'reader' | 'scanner'>,
  ledgers: readonly LedgerOfExport[],
  newcomers: ReadonlyMap<string, string>,
): Promise<FormerAddress[]> {
  const found: FormerAddress[] = [];
  if (newcomers.size === 0) return found;
  for (const { ledgerId, exportId } of ledgers) {
    const { mapping } = await reader.findOneByOrFail(Export, { id: exportId });
    for await (const page of ledgerPages(scanner, ledgerId)) {
      const candidates = page.filter(({ profileId, emailKey }) => {
        const comesWith = newcomers.get(profileId);
        return comesWith !== undefined && comesWith !== emailKey;
      });
      const present = await addressesOf(
        reader,
        candidates.map(({ profileId }) => profileId),
        mapping.email,
      );
      for (const { profileId, emailKey, wanted } of candidates) {
        if (present.get(profileId) === emailKey) continue;
        found.push({ profileId, emailKey, email: (JSON.parse(wanted) as WantedContact)[0] });
      }
    }
  }
  return found;
}

/** The keys of what the profiles have in an attribute. */
async function addressesOf(
  reader: EntityManager,
  profileIds: readonly string[],
  attribute: string,
): Promise<Map<string, string>> {
  if (profileIds.length === 0) return new Map();
  const rows = await reader.query<{ id: string; attributes: string }[]>(
    `SELECT "id", "attributes" FROM "profiles" WHERE "id" IN ${dialectOf(reader).list('$1')}`,
    [JSON.stringify(profileIds)],
  );
  return new Map(
    rows.map(({ id, attributes }) => [
      id,
      emailKeyOf((JSON.parse(attributes) as Attributes)[attribute] ?? ''),
    ]),
  );
}

/** Exports to the same list share what they know. */
const AT_THE_LIST = `"ledgerId" IN (SELECT "id" FROM "ledgers" WHERE "account" = $1 AND "listId" = $2)`;

/** Whether anybody had another address before. */
export async function anybodyMoved(manager: EntityManager, { account, listId }: ExportRun): Promise<boolean> {
  const rows = await manager.query<unknown[]>(
    `SELECT 1 FROM "former_addresses" WHERE ${AT_THE_LIST} LIMIT 1`,
    [account, listId],
  );
  return rows.length > 0;
}

/** Lets the newcomers of some keys be looked up first who had another address before. */
export async function checkMovers(
  manager: EntityManager,
  run: ExportRun,
  { after, to }: KeyRange,
): Promise<void> {
  await execute(
    manager,
    `UPDATE "ledger_entries" SET "task" = ${LedgerTask.CHECK}
     WHERE EXISTS (SELECT 1 FROM "former_addresses" AS "former" WHERE ${AT_THE_LIST}
         AND "former"."profileId" = "ledger_entries"."profileId"
         AND "former"."emailKey" <> "ledger_entries"."emailKey")
       AND "task" = ${LedgerTask.PUT} AND "standing" = ${Standing.NEVER_DELIVERED}
       AND "ledgerId" = $3 AND "plannedRun" = $4 AND "emailKey" > $5 ${to === null ? '' : 'AND "emailKey" <= $6'}`,
    [run.account, run.listId, run.ledgerId, run.number, after, ...(to === null ? [] : [to])],
  );
}

/** The addresses that a profile had before this one. */
export async function formerAddresses(
  manager: EntityManager,
  { account, listId }: ExportRun,
  { profileId, emailKey }: { profileId: string; emailKey: string },
): Promise<{ emailKey: string; email: string }[]> {
  return manager.query(
    `SELECT "emailKey", MIN("email") AS "email" FROM "former_addresses"
     WHERE ${AT_THE_LIST} AND "profileId" = $3 AND "emailKey" <> $4 GROUP BY "emailKey" ORDER BY "emailKey"`,
    [account, listId, profileId, emailKey],
  );
}
