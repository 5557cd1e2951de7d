import type { ImportReport } from '../client/upload.js';
import type { Meant, MeantContact } from './meant.js';
import { FIELDS } from './options.js';
import type { Rejected } from './rejections.js';
import type { HeldContact } from './sandbox-record.js';
import type { FinishedRun } from './watch-run.js';

/** Everything that there is to be compared. */
export interface Evidence {
  readonly meant: Meant;
  /** What Sluice says. */
  readonly report: ImportReport;
  readonly run: FinishedRun;
  readonly rejections: readonly Rejected[];
  /** What the sandbox says. */
  readonly held: AsyncIterable<HeldContact>;
  /** Lower-case addresses that it did not take. */
  readonly failed: ReadonlySet<string>;
  readonly listId: number;
}

/** Each difference as a sentence; none when all is equal. */
export async function compare(evidence: Evidence): Promise<string[]> {
  const refused = refusedContacts(evidence);
  return [
    ...(await compareContacts(evidence, refused)),
    ...compareRejections(evidence, refused),
    ...compareFigures(evidence, refused),
  ];
}

/** Contacts that the sandbox has on record as failed: they are not meant to arrive, but to be reported. */
function refusedContacts({ meant, failed }: Evidence): Map<string, MeantContact> {
  return new Map([...meant.contacts].filter(([key]) => failed.has(key)));
}

const ACTIVE = 1;

async function compareContacts(
  { meant, held, listId }: Evidence,
  refused: ReadonlyMap<string, MeantContact>,
): Promise<string[]> {
  const differences: string[] = [];
  const awaited = new Set([...meant.contacts.keys()].filter((key) => !refused.has(key)));
  for await (const contact of held) {
    const key = contact.email.toLowerCase();
    const wanted = meant.contacts.get(key);
    if (wanted === undefined) {
      differences.push(`${contact.email} is at the sandbox, but nobody meant that.`);
      continue;
    }
    if (!awaited.delete(key)) continue;
    for (const field of FIELDS) {
      if (field === 'email' || contact[field] === wanted[field]) continue;
      differences.push(
        `${contact.email}: ${field} is "${contact[field]}" at the sandbox, but "${wanted[field]}" was meant.`,
      );
    }
    const status = contact.lists.find(({ list }) => list === listId)?.status;
    if (status !== ACTIVE) {
      differences.push(`${contact.email} is not active on list ${listId}: ${describeStatus(status)}.`);
    }
  }
  for (const key of awaited) {
    differences.push(`${key} is not at the sandbox, and the sandbox never said that it refused it.`);
  }
  return differences;
}

function describeStatus(status: number | undefined): string {
  return status === undefined ? 'not a member' : `status ${status}`;
}

/** Row by row: whoever was not delivered is named with the right reason, and nobody else is. */
function compareRejections(
  { meant, rejections }: Evidence,
  refused: ReadonlyMap<string, MeantContact>,
): string[] {
  const differences: string[] = [];
  const reasons = new Map<string, string>();
  for (const [id, { reason }] of meant.skipped) reasons.set(id, reason);
  for (const { profileId } of refused.values()) reasons.set(profileId, 'REFUSED_BY_DESTINATION');
  for (const { profileId, reason } of rejections) {
    const expected = reasons.get(profileId);
    if (expected !== reason) {
      differences.push(
        `Profile ${profileId} is reported as ${reason}; ${expected ?? 'nothing, or not twice,'} was counted.`,
      );
    }
    reasons.delete(profileId);
  }
  for (const [id, reason] of reasons) differences.push(`Profile ${id} is ${reason}, but is not reported.`);
  return differences;
}

function compareFigures(
  { meant, report, run }: Evidence,
  refused: ReadonlyMap<string, MeantContact>,
): string[] {
  const differences: string[] = [];
  const check = (what: string, said: number | string | null, expected: number | string) => {
    if (said !== expected) differences.push(`${what} is ${String(said)}, but ${expected} was counted.`);
  };
  check('The number of rows that the import received', report.received, meant.rows);
  check('The number of rows that it rejected', report.rejected, meant.rejectedRows);
  check('The number of rows that it took', report.stored + report.unchanged, meant.rows - meant.rejectedRows);

  const { progress } = run;
  const toSend = meant.contacts.size;
  check('members', progress.members, meant.profiles);
  check('skipped', progress.skipped, meant.skipped.size);
  check('toSend', progress.toSend, toSend);
  check('confirmed', progress.confirmed, toSend - refused.size);
  check('rejected', progress.rejected, refused.size);
  check('unconfirmed', progress.unconfirmed, 0);
  check('notSent', progress.notSent, 0);

  const isSomebodyAtFault =
    refused.size > 0 || [...meant.skipped.values()].some(({ reason }) => reason !== 'DUPLICATE_EMAIL');
  check("The run's state", run.state, isSomebodyAtFault ? 'SUCCEEDED_WITH_WARNINGS' : 'SUCCEEDED');
  return differences;
}
