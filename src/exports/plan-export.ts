import { In, type EntityManager } from 'typeorm';
import type { Asking } from '../connections/asking.js';
import { findConnection } from '../connections/find.js';
import { isDestinationFailure } from '../connections/problems.js';
import type { Capacity, DestinationLimits } from '../destinations/destination.js';
import type { Connection } from '../entities/connection.js';
import type { Export } from '../entities/export.js';
import type { Problem } from '../entities/problem.js';
import { RejectionReason } from '../entities/rejection.js';
import { Segment } from '../entities/segment.js';
import { ConflictError, SluiceError } from '../errors.js';
import { compareWithLedger } from './compare.js';
import { connectionProblem } from './conditions.js';
import type { ExportPlan } from './export-plan.js';
import { getExport } from './find-exports.js';
import { leaverHold } from './hold.js';
import { placeOf } from './ledger.js';
import { unconfirmedBatches } from './past-batches.js';
import { createTally } from './plan-tally.js';
import { problemWith, readPlan, type RunPlan } from './prepare.js';
import { findRemovedFrom } from './removals.js';
import type { EngineServices } from './run-context.js';
import { openSpill } from './spill.js';
import { stageMembers } from './stage-members.js';

/** What planning needs of the engine. */
export type PlanServices = Pick<
  EngineServices,
  'database' | 'clock' | 'destinations' | 'hashPerson' | 'scratchDirectory'
> & { readonly asking: Asking };

/** How often segments may change under a plan before it is given up. */
const MAX_TRIES = 3;

/** Calls about the list, about one person who returns, and about one former address. */
const CALLS_A_RUN = 2;
const CALLS_A_RETURN = 3;
const CALLS_A_MOVE = 2;

const MINUTE_MS = 60_000;

/**
 * Works out what a run of the export would do if it began now. Nothing is sent and nothing is written; the destination
 * is asked for the capacity of the account alone.
 * @throws {NotFoundError}; {ConflictError} for a detached export, or while its segments change again and again.
 */
export async function planExport(services: PlanServices, exportId: string): Promise<ExportPlan> {
  const { reader } = services.database;
  const definition = await getExport(services, exportId);
  if (definition.connectionId === null) {
    throw new ConflictError(
      'The export is detached from its connection and does not run.',
      'Attach it to a connection (attachExport).',
    );
  }
  const connection = await findConnection(reader, definition.connectionId);
  const obstacle = await connectionProblem(reader, connection);
  const { limit, contacts } = obstacle === null ? await capacityOf(services, connection) : UNKNOWN;
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const plan = await readPlan(reader, { exportId, connectionId: connection.id });
    const figures = await lookThrough(services, definition, connection, plan);
    // Superseded members are swept away, also while they are planned: then the figures are of nobody.
    if (!(await areCurrent(reader, plan))) continue;
    const problem = obstacle ?? figures.problem;
    return { ...figures, problem, accountLimit: limit ?? null, accountContacts: contacts ?? null };
  }
  throw new ConflictError('The segments of the export change all the time.', 'Plan it again a little later.');
}

const UNKNOWN: Capacity = { limit: undefined, contacts: undefined };

async function capacityOf(services: PlanServices, connection: Connection): Promise<Capacity> {
  try {
    return await services.asking.capacity(connection);
  } catch (error: unknown) {
    // It is worth knowing, but no reason to have no plan.
    if (isDestinationFailure(error) || error instanceof SluiceError) return UNKNOWN;
    throw error;
  }
}

async function lookThrough(
  services: PlanServices,
  definition: Export,
  connection: Connection,
  plan: RunPlan,
): Promise<Omit<ExportPlan, 'accountLimit' | 'accountContacts'>> {
  const { reader, scanner } = services.database;
  const destination = services.destinations[connection.kind];
  const limits = destination.limits(connection.host);
  const target = { exportId: definition.id, account: definition.account, listId: definition.list.id };
  const tally = createTally(destination, limits, target.listId);
  const size = await problemWith(scanner, plan);
  if ('members' in size) {
    await using spill = await openSpill(services.scratchDirectory);
    for await (const rejections of stageMembers(
      scanner,
      plan.generations,
      plan.mapping,
      destination,
      spill,
    )) {
      for (const { reason } of rejections) tally.skip(reason);
    }
    const place = await placeOf(reader, target);
    const { leavers } = plan;
    const rules = { force: false, leavers, run: null, now: services.clock.now() };
    const findRemoved = await findRemovedFrom(services, scanner, target);
    for await (const findings of compareWithLedger(scanner, place, spill, rules, findRemoved)) {
      findings.forEach(tally.add);
    }
  }
  const { skipped, fates, delivered, movers, keptFormerAddresses, importerCalls } = tally.total();
  const asked = (await unconfirmedBatches(reader, target)).length;
  const aboutPeople = fates.RETURNING * CALLS_A_RETURN + movers * CALLS_A_MOVE;
  const otherCalls = CALLS_A_RUN + asked + importerCalls + aboutPeople;
  const facts = { delivered, holdPercent: plan.leaverHoldPercent, approvedLeavers: null };
  const problem: Problem | null =
    'problem' in size ? size.problem : leaverHold({ ...facts, leavers: fates.LEAVER });
  return {
    members: 'problem' in size ? size.count : size.members,
    skipped: SKIPPED.map((reason) => ({ reason, count: skipped[reason] })),
    new: fates.NEW,
    keptFormerAddresses,
    changed: fates.CHANGED,
    unchanged: fates.UNCHANGED,
    leavers: fates.LEAVER,
    returning: fates.RETURNING,
    refused: fates.REFUSED,
    importerCalls,
    otherCalls,
    expectedMinutes: minutesFor({ importerCalls, otherCalls }, limits),
    problem,
  };
}

const SKIPPED = [
  RejectionReason.MISSING_EMAIL,
  RejectionReason.INVALID_EMAIL,
  RejectionReason.DUPLICATE_EMAIL,
] as const;

/** Batches and calls have paces of their own; whichever takes longer decides, and the last batch is still confirmed. */
function minutesFor(
  { importerCalls, otherCalls }: { importerCalls: number; otherCalls: number },
  limits: DestinationLimits,
): number {
  const batchesMs = importerCalls * limits.batchIntervalMs;
  const callsMs = (importerCalls + otherCalls) * limits.callIntervalMs;
  const confirmingMs = importerCalls === 0 ? 0 : limits.firstOutcomeMs;
  return (Math.max(batchesMs, callsMs) + confirmingMs) / MINUTE_MS;
}

/** Whether the members that the plan was made of are those of the segments now. */
async function areCurrent(reader: EntityManager, { generations }: RunPlan): Promise<boolean> {
  const real = generations.filter((generation) => generation >= 0);
  return (await reader.countBy(Segment, { generation: In(real) })) === real.length;
}
