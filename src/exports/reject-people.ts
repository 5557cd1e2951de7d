import type { EntityManager } from 'typeorm';
import { RejectionReason } from '../entities/rejection.js';
import { refuseEntries, type InDoubt } from './decide-entries.js';
import type { PlannedEntry } from './planned.js';
import type { Refusal } from './refusals.js';
import { addRejections } from './rejections.js';
import type { RunContext } from './run-context.js';

/** A planned contact that was refused, or kept back, and why. */
export interface Rejected {
  readonly entry: PlannedEntry;
  readonly detail: string;
  /** REFUSED_BY_DESTINATION unless it says otherwise. */
  readonly reason?: Refusal['reason'];
  /** False: it says nothing of the contact, and the next run tries again. */
  readonly stands?: boolean;
}

/**
 * Writes down who was refused: in the ledger, where the refusal stands (unless it says otherwise), and among the
 * rejections of the run.
 * @returns what it adds to the run's counters.
 */
export async function rejectPeople(
  manager: EntityManager,
  { run, services }: Pick<RunContext, 'run' | 'services'>,
  rejected: readonly Rejected[],
  inDoubt: InDoubt,
): Promise<{ rejected: number }> {
  const at = services.clock.now();
  const refusalOf = ({
    entry,
    detail,
    reason = RejectionReason.REFUSED_BY_DESTINATION,
  }: Rejected): Refusal => ({
    reason,
    detail,
    at,
    ...(entry.wasRefused && { wasRefused: true }),
  });
  const byRefusal = Map.groupBy(rejected, (one) =>
    one.stands === false ? null : JSON.stringify(refusalOf(one)),
  );
  for (const [refusal, group] of byRefusal) {
    const keys = group.map(({ entry }) => entry.emailKey);
    const standing = refusal === null ? null : (JSON.parse(refusal) as Refusal);
    await refuseEntries(manager, run, keys, standing, inDoubt);
  }
  await addRejections(
    manager,
    run.id,
    rejected.map((one) => {
      const { entry, detail } = one;
      return { profileId: entry.profileId, email: entry.wanted[0], reason: refusalOf(one).reason, detail };
    }),
  );
  return { rejected: rejected.length };
}
