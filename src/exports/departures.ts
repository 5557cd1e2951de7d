import { dialectOf } from '../bulk-sql.js';
import type { Scanner } from '../database.js';
import { LeaverPolicy } from '../entities/export.js';
import { LedgerTask, Standing } from '../entities/ledger.js';
import type { Elsewhere } from './differences.js';
import type { LedgerPlace, Neighbour } from './ledger.js';

/*
 * When an export has let go of a person, so that another export to the same list may take the person off it.
 *
 * A run that finds no member for an address notes in the entry that the person is gone, and its own number. This counts
 * for other exports from the moment at which the run has passed its hold (ExportRun.departuresFinalAt), and stays true
 * whatever becomes of the run afterwards. A run that is held, cancelled, discarded or broken before that never counts,
 * and nothing of what it wrote has to be undone: the next run that finds the person gone writes its own number over one
 * that does not count. An approved run prepares again, with the members of that moment; only the end of that preparation
 * makes its departures final.
 *
 * An entry that names no run was written under KEEP, or by version 0.1.0, where nobody can tell whether the run was held
 * or a segment was inactive. Such a contact stays protected as long as it may be on the list: the export's next run that
 * takes leavers off decides with its own hold. If it is not on the list, there is nothing to protect.
 *
 * A run with an inactive segment does not know who left. It notes nobody as gone, and what an earlier preparation of the
 * same run noted does not become final.
 *
 * The runs of an account prepare one after the other if they go to the same list (prepare.ts), so that of all exports
 * that lose a person at the same time the last one to prepare sees that the others have let go, and takes the person off.
 * Whoever removes rows of runs must settle their departures first: an entry whose run is missing counts for nobody.
 */

/** SQL for whether a row of ledger_entries may be on the list by its own export. What is in doubt may be. */
export const MAY_BE_ON_LIST = `("standing" = ${Standing.ON_LIST} OR "doubt" IS NOT NULL)`;

/**
 * SQL for whether the export has let go of the person of a row of ledger_entries, and other exports may count on it.
 * @param exportId SQL for the id of the export that the ledger belongs to.
 */
export function isDeparted(exportId: string): string {
  return `CASE WHEN NOT "gone" THEN FALSE WHEN "departedRun" IS NULL THEN NOT ${MAY_BE_ON_LIST}
    ELSE EXISTS (SELECT 1 FROM "export_runs" AS "departure" WHERE "departure"."exportId" = ${exportId}
      AND "departure"."number" = "departedRun" AND "departure"."departuresFinalAt" IS NOT NULL) END`;
}

/** What the neighbours say of these addresses; who is not mentioned is unknown to all of them. */
export async function lookElsewhere(
  scanner: Scanner,
  neighbours: readonly Neighbour[],
  keys: readonly string[],
): Promise<Map<string, Elsewhere>> {
  const found = new Map<string, Elsewhere>();
  if (keys.length === 0) return found;
  for (const { ledgerId, exportId, attached, policy } of neighbours) {
    const rows = await scanner.query<ElsewhereRow[]>(
      `SELECT "emailKey", "standing", "task", "plannedRun", ${MAY_BE_ON_LIST} AS "mayBeOnList",
         ${isDeparted('$1')} AS "departed"
       FROM "ledger_entries" WHERE "ledgerId" = $2 AND "emailKey" IN ${dialectOf(scanner).list('$3')}`,
      [exportId, ledgerId, JSON.stringify(keys)],
    );
    const isKeeping = policy === LeaverPolicy.KEEP;
    for (const row of rows) {
      const departed = Boolean(row.departed);
      const keeps = attached && (!departed || (isKeeping && row.standing === Standing.ON_LIST));
      const removes = row.plannedRun !== null && row.task === LedgerTask.REMOVE;
      const removed = row.standing === Standing.REMOVED || removes;
      const leftBehind = departed && !isKeeping && Boolean(row.mayBeOnList);
      const before = found.get(row.emailKey);
      found.set(row.emailKey, {
        keeps: keeps || (before?.keeps ?? false),
        removed: removed || (before?.removed ?? false),
        leftBehind: leftBehind || (before?.leftBehind ?? false),
      });
    }
  }
  return found;
}

interface ElsewhereRow {
  emailKey: string;
  standing: Standing;
  task: LedgerTask;
  plannedRun: number | null;
  mayBeOnList: boolean | 0 | 1;
  departed: boolean | 0 | 1;
}

/** Planned removals that must not be sent, by e-mail key. */
export interface Obsolete {
  /** Another export has come to want the address. */
  readonly wanted: ReadonlySet<string>;
  /** Nobody has it on the list any more: another run took it off. */
  readonly off: ReadonlySet<string>;
}

/**
 * Looks again at removals just before they are sent. Two runs may have planned the same one, because each takes off what
 * both exports have let go of and neither relies on the end of the other run: the first to be sent takes the person off,
 * and the other run sets the person free.
 */
export async function obsoleteRemovals(
  scanner: Scanner,
  { ledgerId, neighbours }: LedgerPlace,
  keys: readonly string[],
): Promise<Obsolete> {
  if (neighbours.length === 0) return { wanted: new Set(), off: new Set() };
  const elsewhere = await lookElsewhere(scanner, neighbours, keys);
  const wanted = new Set(keys.filter((key) => elsewhere.get(key)?.keeps));
  const rows = await scanner.query<{ emailKey: string }[]>(
    `SELECT "emailKey" FROM "ledger_entries" WHERE "ledgerId" = $1 AND NOT ${MAY_BE_ON_LIST}
       AND "emailKey" IN ${dialectOf(scanner).list('$2')}`,
    [ledgerId, JSON.stringify(keys)],
  );
  const notByUs = rows.map(({ emailKey }) => emailKey);
  const off = new Set(notByUs.filter((key) => !wanted.has(key) && !elsewhere.get(key)?.leftBehind));
  return { wanted, off };
}
