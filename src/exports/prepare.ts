import { In } from 'typeorm';
import { ExportRunPhase, type ExportRun } from '../entities/export-run.js';
import { Export, ExportSegment } from '../entities/export.js';
import type { Mapping } from '../entities/export.js';
import type { Problem } from '../entities/problem.js';
import type { Profile } from '../entities/profile.js';
import { Rejection } from '../entities/rejection.js';
import { Segment, SegmentState } from '../entities/segment.js';
import { Connection } from '../entities/connection.js';
import { countMembers, memberPages } from '../profiles/members.js';
import { ledgerOf, unplan } from './ledger.js';
import { mapProfile } from './mapping.js';
import { addRejections, type NewRejection } from './rejections.js';
import type { RunContext } from './run-context.js';
import { addUp, count, writeRun } from './run-states.js';
import {
  clearStaging,
  createStaging,
  rangesOf,
  stageChunk,
  writeRange,
  type Staged,
  type Staging,
} from './staging.js';

/** Members that are read, mapped and staged at once: statements of some 50 ms. */
const PAGE = 10_000;

/**
 * Works out who is to be sent, and writes it into the ledger:
 *
 * 1. pin the segments' members as they are now, and make room for what an interrupted preparation left;
 * 2. refuse what is too many, before anything is sent;
 * 3. walk the members by id, map each, set aside who has no usable address, stage the others;
 * 4. write the ledger in key order; of profiles with one address the first by id is planned.
 *
 * Interrupted, it begins again from 1.
 * @returns why the run must be skipped; null: it is ready to send.
 * @throws the reason of `context.sending` when the run is cancelled meanwhile.
 */
export async function prepare(context: RunContext): Promise<Problem | null> {
  const { run, services } = context;
  const { mapping, profileLimit } = await begin(context);
  const generations = run.generations ?? [];
  if (generations.length === 0) return NO_ACTIVE_SEGMENT;
  const members = await countMembers(services.database.reader, generations);
  if (members > profileLimit) return tooMany(members, profileLimit);

  await services.database.transact(({ manager }) => writeRun(manager, run, { members }));
  services.hub.changed(run.id);
  const staging = await stageMembers(context, generations, mapping);
  await writeLedger(context, staging);
  await services.database.transact(async ({ manager, afterCommit }) => {
    const members = run.skipped + run.unchanged + run.toSend;
    await writeRun(manager, run, { phase: ExportRunPhase.SENDING, members });
    afterCommit(() => services.hub.changed(run.id));
  });
  return null;
}

/** Takes back what an unfinished preparation planned and counted; the run then ends as if it had looked at nobody. */
export async function discardPreparation({ run, services }: RunContext): Promise<void> {
  if (run.ledgerId !== null) {
    await clearStaging(services.database, run.ledgerId);
    await unplan(services.database, run);
  }
  await services.database.transact(async ({ manager }) => {
    await manager.delete(Rejection, { runId: run.id });
    await writeRun(manager, run, { members: null, skipped: 0, unchanged: 0, toSend: 0, generations: null });
  });
}

async function begin(context: RunContext): Promise<{ mapping: Mapping; profileLimit: number }> {
  const { run, services } = context;
  if (run.ledgerId !== null) await discardPreparation(context);
  return services.database.transact(async ({ manager, afterCommit }) => {
    const { mapping } = await manager.findOneByOrFail(Export, { id: run.exportId });
    const { profileLimit } = await manager.findOneByOrFail(Connection, { id: run.connectionId });
    const uses = await manager.findBy(ExportSegment, { exportId: run.exportId });
    const active = await manager.findBy(Segment, {
      id: In(uses.map((use) => use.segmentId)),
      state: SegmentState.ACTIVE,
    });
    // A segment that never had members has no generation; -1 names none, and tells it from an inactive one.
    const generations = active.map((segment) => segment.generation ?? -1);
    const ledger = await ledgerOf(manager, run);
    await writeRun(manager, run, { phase: ExportRunPhase.PREPARING, generations, ledgerId: ledger.id });
    afterCommit(() => services.hub.changed(run.id));
    return { mapping, profileLimit };
  });
}

async function stageMembers(
  context: RunContext,
  generations: readonly number[],
  mapping: Mapping,
): Promise<Staging> {
  const { run, services } = context;
  const { ledgerId } = ready(run);
  const staging = createStaging();
  // Whatever a process left there that died.
  await clearStaging(services.database, ledgerId);
  for await (const page of memberPages(services.database.reader, generations, PAGE)) {
    context.sending.signal.throwIfAborted();
    const { staged, rejections } = mapPage(context, page, mapping);
    const added = { skipped: rejections.length };
    await services.database.transact(async ({ manager, afterCommit }) => {
      await count(manager, run, added);
      await stageChunk(manager, ledgerId, staging, staged);
      await addRejections(manager, run.id, rejections);
      afterCommit(() => {
        addUp(run, added);
        services.hub.changed(run.id);
      });
    });
  }
  return staging;
}

function mapPage(
  { destination }: RunContext,
  page: Profile[],
  mapping: Mapping,
): { staged: Staged[]; rejections: NewRejection[] } {
  const staged: Staged[] = [];
  const rejections: NewRejection[] = [];
  for (const { id, attributes } of page) {
    const mapped = mapProfile(attributes, mapping, (email) => destination.emailProblem(email));
    if ('wanted' in mapped) staged.push({ ...mapped, profileId: id });
    else rejections.push({ ...mapped, profileId: id });
  }
  return { staged, rejections };
}

async function writeLedger(context: RunContext, staging: Staging): Promise<void> {
  const { run, services } = context;
  const { ledgerId } = ready(run);
  for (const range of rangesOf(staging)) {
    context.sending.signal.throwIfAborted();
    await services.database.transact(async ({ manager, afterCommit }) => {
      const { planned, unchanged, duplicates } = await writeRange(manager, run, staging, range);
      const added = { toSend: planned, unchanged, skipped: duplicates };
      await count(manager, run, added);
      afterCommit(() => {
        addUp(run, added);
        services.hub.changed(run.id);
      });
    });
  }
  await clearStaging(services.database, ledgerId);
}

/** A run that prepares has its ledger. */
function ready(run: ExportRun): { ledgerId: number } {
  if (run.ledgerId === null) throw new Error('The run has no ledger yet');
  return { ledgerId: run.ledgerId };
}

const NO_ACTIVE_SEGMENT: Problem = {
  code: 'NO_ACTIVE_SEGMENT',
  message: 'Every segment of the export is inactive.',
  remedy: 'Activate one of its segments, or choose others.',
};

function tooMany(members: number, limit: number): Problem {
  const [have, may] = [members, limit].map((figure) => figure.toLocaleString('en'));
  return {
    code: 'TOO_MANY_PROFILES',
    message: `The segments have ${have} profiles; the connection allows ${may} for an export.`,
    remedy:
      'Choose smaller segments, split them over several exports, or raise the profile limit of the connection.',
  };
}
