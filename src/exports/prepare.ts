import { In, type EntityManager } from 'typeorm';
import type { Scanner } from '../database.js';
import { ExportRunPhase } from '../entities/export-run.js';
import { Export, ExportSegment, LeaverPolicy, type Mapping } from '../entities/export.js';
import { Standing } from '../entities/ledger.js';
import type { Problem } from '../entities/problem.js';
import { Rejection, RejectionReason } from '../entities/rejection.js';
import { Segment, SegmentState } from '../entities/segment.js';
import { Connection } from '../entities/connection.js';
import { countMembers } from '../profiles/members.js';
import { compareWithLedger, type Finding } from './compare.js';
import { transactAs } from './fence.js';
import type { LeaverRule } from './differences.js';
import { holdRun, leaverHold } from './hold.js';
import {
  addressesElsewhere,
  ledgersWithFormerAddresses,
  anybodyMoved,
  checkMovers,
  lostAddresses,
  noteFormerAddresses,
} from './former-addresses.js';
import { keyRanges, ledgerOf, placeOf, unplan, writeEntries } from './ledger.js';
import type { WantedContact } from './mapping.js';
import { standingDetail } from './refusals.js';
import { addRejections, type NewRejection } from './rejections.js';
import { findRemovedFrom } from './removals.js';
import type { RunContext } from './run-context.js';
import { addUp, count, writeRun, type Counter } from './run-states.js';
import { oneBeside } from '../one-beside.js';
import { openSpill, type Spill } from './spill.js';
import { stageMembers } from './stage-members.js';

/** What a run is to send, as its export and its segments are configured when it prepares. */
export interface RunPlan {
  readonly mapping: Mapping;
  readonly profileLimit: number;
  readonly generations: readonly number[];
  readonly leavers: LeaverRule;
  readonly leaverHoldPercent: number;
}

/** READY: it may send. SKIPPED: there is nothing to send, and why. HELD: somebody must approve it first. */
export type Preparation =
  { readonly state: 'READY' | 'HELD' } | { readonly state: 'SKIPPED'; readonly problem: Problem };

/**
 * Works out who is to be sent, and writes it into the ledger:
 *
 * 1. pin the segments' members as they are now, and make room for what an interrupted preparation left;
 * 2. refuse what is too many, before anything is sent;
 * 3. walk the members by id, map each, set aside who has no usable address, sort the others by address;
 * 4. compare them with the ledger, address by address, and plan the differences, one run to a list at a time;
 * 5. hold the run if it would take many contacts off the list.
 *
 * Interrupted, it begins again from 1.
 * @throws the reason of `context.sending` when the run is cancelled meanwhile.
 */
export async function prepare(context: RunContext): Promise<Preparation> {
  const { run, services } = context;
  const plan = await begin(context);
  const size = await problemWith(services.database.scanner, plan);
  if ('problem' in size) return { state: 'SKIPPED', problem: size.problem };
  await transactAs(services, run, ({ manager }) => writeRun(manager, run, { members: size.members }));
  services.hub.changed(run.id);
  await using spill = await openSpill(services.scratchDirectory);
  await stage(context, plan, spill);
  // Runs to one list see what the ones before them found: see departures.ts.
  return await context.comparing.pass(run.listId, async () => {
    context.sending.signal.throwIfAborted();
    const delivered = await planDifferences(context, plan, spill);
    await checkWhoMoved(context);
    return finish(context, plan, delivered);
  });
}

/** Why nothing can be sent by this plan, or how many members it has. */
export async function problemWith(
  scanner: Scanner,
  { generations, profileLimit }: RunPlan,
): Promise<{ problem: Problem; count: number } | { members: number }> {
  if (generations.length === 0) return { problem: NO_ACTIVE_SEGMENT, count: 0 };
  const count = await countMembers(scanner, generations);
  return count > profileLimit ? { problem: tooMany(count), count } : { members: count };
}

/** Takes back what an unfinished preparation planned and counted; the run then ends as if it had looked at nobody. */
export async function discardPreparation({ run, services }: RunContext): Promise<void> {
  if (run.ledgerId !== null) await unplan(services, run);
  await transactAs(services, run, async ({ manager }) => {
    await manager.delete(Rejection, { runId: run.id });
    const nothing = {
      members: null,
      skipped: 0,
      unchanged: 0,
      leavers: 0,
      toSend: 0,
      newcomers: 0,
      rejected: 0,
    };
    await writeRun(manager, run, { ...nothing, generations: null });
  });
}

async function begin(context: RunContext): Promise<RunPlan> {
  const { run, services } = context;
  if (run.ledgerId !== null) await discardPreparation(context);
  return transactAs(services, run, async ({ manager, afterCommit }) => {
    const plan = await readPlan(manager, run);
    const ledger = await ledgerOf(manager, run);
    const generations = [...plan.generations];
    await writeRun(manager, run, { phase: ExportRunPhase.PREPARING, generations, ledgerId: ledger.id });
    afterCommit(() => services.hub.changed(run.id));
    return plan;
  });
}

/** How the export, its connection and its segments are configured now. */
export async function readPlan(
  manager: EntityManager,
  { exportId, connectionId }: { exportId: string; connectionId: string },
): Promise<RunPlan> {
  const { mapping, leavers, leaverHoldPercent } = await manager.findOneByOrFail(Export, { id: exportId });
  const { profileLimit } = await manager.findOneByOrFail(Connection, { id: connectionId });
  const uses = await manager.findBy(ExportSegment, { exportId });
  const active = await manager.findBy(Segment, {
    id: In(uses.map((use) => use.segmentId)),
    state: SegmentState.ACTIVE,
  });
  return {
    mapping,
    profileLimit,
    // A segment that never had members has no generation; -1 names none, and tells it from an inactive one.
    generations: active.map((segment) => segment.generation ?? -1),
    leavers: active.length < uses.length ? 'UNKNOWN' : leavers === LeaverPolicy.KEEP ? 'KEEP' : 'REMOVE',
    leaverHoldPercent,
  };
}

async function stage(context: RunContext, plan: RunPlan, spill: Spill): Promise<void> {
  const { run, services, destination } = context;
  const { scanner } = services.database;
  await using writing = oneBeside();
  for await (const rejections of stageMembers(scanner, plan.generations, plan.mapping, destination, spill)) {
    context.sending.signal.throwIfAborted();
    if (rejections.length === 0) continue;
    await writing.begin(() =>
      write(context, { skipped: rejections.length }, (manager) => addRejections(manager, run.id, rejections)),
    );
  }
  await writing.done();
}

/** @returns how many contacts of this export were on the list before. */
async function planDifferences(context: RunContext, plan: RunPlan, spill: Spill): Promise<number> {
  const { run, services } = context;
  const { reader, scanner } = services.database;
  const place = await placeOf(reader, run);
  const rules = { force: run.force, leavers: plan.leavers, run: run.number, now: services.clock.now() };
  const ledgers = ledgersWithFormerAddresses(run, place, plan.leavers);
  /** Needed only where these ledgers may know of them. */
  const newcomers = new Map<string, string>();
  let delivered = 0;
  await using writing = oneBeside();
  const findRemoved = await findRemovedFrom(services, scanner, run);
  for await (const findings of compareWithLedger(scanner, place, spill, rules, findRemoved)) {
    context.sending.signal.throwIfAborted();
    const rejections = findings.flatMap(rejectionsOf);
    const entries = findings.flatMap(({ next }) => next ?? []);
    await writing.begin(() =>
      write(context, countFindings(findings), async (manager) => {
        await writeEntries(manager, run, entries);
        await addRejections(manager, run.id, rejections);
        await noteFormerAddresses(manager, run, lostAddresses(findings));
      }),
    );
    if (ledgers.length > 0) {
      for (const { fate, member } of findings) {
        const isComing = fate === 'NEW' || fate === 'RETURNING';
        if (isComing && member !== undefined) newcomers.set(member.profileId, member.emailKey);
      }
    }
    delivered += findings.filter(({ known }) => known?.standing === Standing.ON_LIST).length;
  }
  await writing.done();
  const elsewhere = await addressesElsewhere(services.database, ledgers, newcomers);
  await write(context, {}, (manager) => noteFormerAddresses(manager, run, elsewhere));
  return delivered;
}

/** What a group of findings adds to the counters. */
export function countFindings(findings: readonly Finding[]) {
  const added = { skipped: 0, unchanged: 0, leavers: 0, toSend: 0, newcomers: 0, rejected: 0 };
  for (const { fate, member, known, duplicates } of findings) {
    added.skipped += duplicates.length;
    if (fate === 'NONE') continue;
    if (fate === 'UNCHANGED') {
      added.unchanged += 1;
      continue;
    }
    added.toSend += 1;
    if (member === undefined) added.leavers += 1;
    const wasDelivered = known !== undefined && known.standing !== Standing.NEVER_DELIVERED;
    if ((fate === 'NEW' || fate === 'RETURNING') && !wasDelivered) added.newcomers += 1;
    if (fate === 'REFUSED') added.rejected += 1;
  }
  return added satisfies Partial<Record<Counter, number>>;
}

/** Who shares an address with a profile before them, and whose refusal still stands. */
function rejectionsOf({ member, known, duplicates, refusal }: Finding): NewRejection[] {
  const rejections: NewRejection[] = duplicates.map((duplicate) => ({
    profileId: duplicate.profileId,
    email: addressOf(duplicate.wanted),
    reason: RejectionReason.DUPLICATE_EMAIL,
    detail: `The profile ${member?.profileId ?? ''} has the same address.`,
  }));
  const person = member ?? known;
  if (refusal !== undefined && person !== undefined) {
    const { profileId, wanted } = person;
    const detail = standingDetail(refusal);
    rejections.push({ profileId, email: addressOf(wanted), reason: refusal.reason, detail });
  }
  return rejections;
}

function addressOf(wanted: string): string {
  return (JSON.parse(wanted) as WantedContact)[0];
}

/** A newcomer whose profile had another address before is looked up first: that one may have opted out. */
async function checkWhoMoved(context: RunContext): Promise<void> {
  const { run, services } = context;
  const { database } = services;
  if (run.newcomers === 0 || !(await anybodyMoved(database.reader, run))) return;
  for await (const range of keyRanges(database.scanner, run)) {
    context.sending.signal.throwIfAborted();
    await write(context, {}, (manager) => checkMovers(manager, run, range));
  }
}

async function finish(
  { run, services }: RunContext,
  { leavers: rule, leaverHoldPercent: holdPercent }: RunPlan,
  delivered: number,
): Promise<Preparation> {
  const { leavers, approvedLeavers } = run;
  const hold = leaverHold({ delivered, holdPercent, leavers, approvedLeavers });
  await transactAs(services, run, async (transaction) => {
    const members = run.skipped + run.unchanged + run.toSend - run.leavers;
    if (hold !== null) {
      await writeRun(transaction.manager, run, { members });
      await holdRun(services, transaction, run, hold);
      return;
    }
    // What an earlier preparation noted stays undecided where this one does not know who left.
    const departuresFinalAt = rule === 'UNKNOWN' ? null : new Date(services.clock.now());
    await writeRun(transaction.manager, run, { phase: ExportRunPhase.SENDING, members, departuresFinalAt });
    transaction.afterCommit(() => services.hub.changed(run.id));
  });
  return { state: hold === null ? 'READY' : 'HELD' };
}

/** Writes a step of the preparation with what it adds to the counters. */
async function write(
  { run, services }: RunContext,
  added: Partial<Record<Counter, number>>,
  work: (manager: EntityManager) => Promise<void>,
): Promise<void> {
  await transactAs(services, run, async ({ manager, afterCommit }) => {
    await count(manager, run, added);
    await work(manager);
    afterCommit(() => {
      addUp(run, added);
      services.metrics.decided(added);
      services.hub.changed(run.id);
    });
  });
}

const NO_ACTIVE_SEGMENT: Problem = {
  code: 'NO_ACTIVE_SEGMENT',
  message: 'Every segment of the export is inactive.',
  remedy: 'Activate one of its segments, or choose others.',
};

/** Everybody reads it, so it does not name the limit, which is for users of the connection. */
function tooMany(members: number): Problem {
  return {
    code: 'TOO_MANY_PROFILES',
    message: `The segments have ${members.toLocaleString('en')} profiles, more than the connection allows for an export.`,
    remedy:
      'Choose smaller segments, split them over several exports, or raise the profile limit of the connection.',
  };
}
