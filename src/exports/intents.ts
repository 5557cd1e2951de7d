import type { Instant } from '../clock.js';
import type { Transaction } from '../database.js';
import type { Credentials } from '../destinations/destination.js';
import type { Batch } from '../entities/batch.js';
import { BatchState } from '../entities/batch.js';
import { LedgerTask } from '../entities/ledger.js';
import type { Problem } from '../entities/problem.js';
import { gather } from '../gather.js';
import { insertBatches, newBatch, planBatch, writeBatches } from './batch-rows.js';
import { prove } from './call-destination.js';
import { obsoleteRemovals } from './departures.js';
import { transactAs } from './fence.js';
import { placeOf, type LedgerPlace } from './ledger.js';
import type { PlannedEntry } from './planned.js';
import { endSending, SendingEndedError, type RunContext } from './run-context.js';
import { unprovenTriesOf } from './unproven-tries.js';

/** A batch with its contacts, ready to be sent. The batch is undefined until its first intent is committed. */
export interface Parcel {
  readonly batch: Batch | undefined;
  readonly entries: readonly PlannedEntry[];
  /** How often it was tried in vain in a row. */
  readonly failures: number;
  /** Not before this moment of the monotonic clock. */
  readonly dueAt: number;
}

/**
 * The batch may be sent now with these credentials; or it must wait, because another run's batch got ahead; or some of
 * its leavers are not to be sent, because another export has come to want them or another run took them off.
 */
export type Intent =
  | { readonly batch: Batch; readonly credentials: Credentials; readonly provenAt: Instant }
  | { readonly held: true }
  | { readonly batch: Batch; readonly obsolete: ObsoleteRemovals };

/** Leavers of a parcel that are not to be sent. */
export interface ObsoleteRemovals {
  /** Another export has come to want them: they stay on the list. */
  readonly wanted: readonly PlannedEntry[];
  /** Another run took them off the list. */
  readonly off: readonly PlannedEntry[];
}

/**
 * Proves that the run may go on and, if so, notes that the batch is about to be sent: in one transaction, so that no
 * request with profile data begins after a consent was withdrawn.
 * @returns `held` when another run's batch with one of the addresses has got ahead; the bell rings when that one is
 *   decided.
 * @throws {SendingEndedError} when the run may not go on: nothing is sent.
 */
export type CommitIntent = (parcel: Parcel) => Promise<Intent>;

/** Requests under way at once are not more. */
const MAX_GROUP = 16;

/** Makes the one place where the intents of a run are committed: those that come together share proof and statement. */
export function createCommitIntent(context: RunContext): CommitIntent {
  const { services, run } = context;
  const commit = gather<Parcel, Intent | { problem: Problem }>(
    (parcels) => transactAs(services, run, (transaction) => intentsOf(context, transaction, parcels)),
    MAX_GROUP,
  );
  return async (parcel) => {
    const intent = await commit(parcel);
    if (!('problem' in intent)) return intent;
    endSending(context, intent.problem);
    throw new SendingEndedError(intent.problem.message);
  };
}

async function intentsOf(
  context: RunContext,
  transaction: Transaction,
  parcels: readonly Parcel[],
): Promise<(Intent | { problem: Problem })[]> {
  const { manager } = transaction;
  const proof = await prove(manager, context);
  if ('problem' in proof) return parcels.map(() => proof);
  const intents = new Map<Parcel, Intent>();
  // Nobody changes the exports to the list within the transaction: they are read once, for the first removals.
  let place: Promise<LedgerPlace> | undefined;
  const placeNow = () => (place ??= placeOf(manager, context.run));
  for (const parcel of parcels) {
    const obstacle = await obstacleTo(context, transaction, parcel, placeNow);
    if (obstacle !== undefined) intents.set(parcel, obstacle);
  }
  const free = parcels.filter((parcel) => !intents.has(parcel));
  const batches = await noteIntents(context, transaction, free);
  free.forEach((parcel, index) => {
    const batch = batches[index];
    if (batch !== undefined) intents.set(parcel, { batch, ...proof });
  });
  transaction.afterCommit(() => {
    free.forEach(({ entries }, index) => {
      const batch = batches[index];
      if (batch !== undefined) context.holds.begun(context.run, batch.id, entries);
    });
  });
  return parcels.flatMap((parcel) => intents.get(parcel) ?? []);
}

/** What keeps a parcel from being sent as it is. */
async function obstacleTo(
  context: RunContext,
  transaction: Transaction,
  { batch, entries }: Parcel,
  placeNow: () => Promise<LedgerPlace>,
): Promise<Intent | undefined> {
  const { run, services } = context;
  if (context.hasCompany() && (await context.holds.isHeld(transaction.manager, run, entries))) {
    return { held: true };
  }
  const obsolete = await obsoleteAmong(transaction, entries, placeNow);
  if (obsolete === undefined) return undefined;
  const now = new Date(services.clock.now());
  return { batch: batch ?? (await planBatch(transaction, run, entries, now)), obsolete };
}

/** Writes that requests begin, before they begin. @returns their batches, in the same order. */
async function noteIntents(
  { run, services }: RunContext,
  { manager }: Transaction,
  parcels: readonly Parcel[],
): Promise<Batch[]> {
  const intentAt = new Date(services.clock.now());
  const fresh = parcels.filter(({ batch }) => batch === undefined);
  const opened = await insertBatches(
    manager,
    fresh.map(({ entries }) => newBatch(run, entries, BatchState.SENDING, intentAt)),
  );
  const again = parcels.flatMap(({ batch }) => batch ?? []);
  for (const batch of again) {
    const unprovenTries = unprovenTriesOf(batch);
    const mayHaveArrived = batch.mayHaveArrived || unprovenTries > 0;
    Object.assign(batch, { state: BatchState.SENDING, intentAt, unprovenTries, mayHaveArrived });
  }
  if (again.length > 0) await writeBatches(manager, again);
  return parcels.flatMap(({ batch }) => batch ?? opened.shift() ?? []);
}

/** Since the run prepared, another run may have planned for these addresses, or taken them off. */
async function obsoleteAmong(
  { manager }: Transaction,
  entries: readonly PlannedEntry[],
  placeNow: () => Promise<LedgerPlace>,
): Promise<ObsoleteRemovals | undefined> {
  const leavers = entries.filter(({ task }) => task === LedgerTask.REMOVE);
  if (leavers.length === 0) return undefined;
  const keys = leavers.map(({ emailKey }) => emailKey);
  const { wanted, off } = await obsoleteRemovals(manager, await placeNow(), keys);
  if (wanted.size + off.size === 0) return undefined;
  const among = (set: ReadonlySet<string>) => leavers.filter(({ emailKey }) => set.has(emailKey));
  return { wanted: among(wanted), off: among(off) };
}
