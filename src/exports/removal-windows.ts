import type { DestinationLimits } from '../destinations/destination.js';
import type { Batch } from '../entities/batch.js';
import type { RemovalWindow } from './ledger.js';

/*
 * When the removals of a batch may have taken effect, by the destination's clock. Only an unsubscribe that the destination
 * dates within such a window counts as ours (see check-people.ts); any other one was the person's choice.
 *
 * The importer is asynchronous, so each attempt that it accepted has a window of its own:
 *
 * - It opens when the attempt began, or at the latest answer that the destination had not begun to work on the batch.
 * - It closes at the first answer that the destination is done. A batch that was lost, or whose outcome stays unknown, may
 *   have taken effect in part: its window closes at the latest answer about it.
 * - It has a gap where two answers lie further apart than `maxGapMs`, for example because the destination or this server
 *   was away. Nothing is proven about that time. If the destination was done by the end of the gap, the window ends at its
 *   beginning.
 *
 * An attempt that was not taken, or whose acceptance is unknown, has no window.
 *
 * The open window is in `begunAt` and `seenAt`, the closed ones are in `windows`. All of them are null for a batch without
 * leavers, and where no answer showed a clock.
 */

/** What a batch knows of its windows. */
export type WindowState = Pick<Batch, 'begunAt' | 'seenAt' | 'windows'>;

/** An answer about an accepted batch. */
export interface Sighting {
  /** What the destination's clock showed, in ms since 1970; undefined: nothing, so the answer proves nothing. */
  readonly at: number | undefined;
  /** Whether it may have begun to work on the batch. */
  readonly begun: boolean;
}

/** After an outage or a restart, answers further apart than this prove nothing about the time in between. */
export const MAX_GAP_MS = 60_000;

/** How long this machine may stand still at a sped-up sandbox before answers count as too far apart. */
const MAX_STALL_MS = 10_000;

/** The closed windows of one batch that are kept, the latest. */
const MAX_WINDOWS = 3;

/**
 * How far two answers may lie apart, by the destination's clock, so that the time in between is proven.
 * @param options.isInterrupted whether something kept answers away since the last one.
 */
export function maxGapOf(
  { timeScale }: Pick<DestinationLimits, 'timeScale'>,
  { isInterrupted }: { isInterrupted: boolean },
): number {
  return isInterrupted ? MAX_GAP_MS : Math.max(MAX_GAP_MS, MAX_STALL_MS * timeScale);
}

/** The state after an answer that the batch is not done yet. */
export function afterAnswer(state: WindowState, { at, begun }: Sighting, maxGapMs: number): WindowState {
  const open = openWindow(state);
  if (open === undefined || at === undefined) return state;
  const isGap = at - open.to > maxGapMs;
  if (!begun) return { ...state, begunAt: new Date(Math.max(open.from, at)), seenAt: new Date(at) };
  if (isGap) return { begunAt: new Date(at), seenAt: new Date(at), windows: closedAtLast(state) };
  return { ...state, seenAt: new Date(at) };
}

/** The state after an answer that the batch is done. */
export function afterEnd(state: WindowState, at: number | undefined, maxGapMs: number): WindowState {
  const open = openWindow(state);
  if (open === undefined || at === undefined || at - open.to > maxGapMs) return afterLoss(state);
  // A clock that was put back meanwhile dates nothing.
  if (at < open.from) return closed(state.windows);
  return closed(withWindow(state.windows, { from: open.from, to: at }));
}

/** The state after the destination lost the batch. */
export function afterLoss(state: WindowState): WindowState {
  return closed(closedAtLast(state));
}

/** Every window of the batch as far as it is proven now. */
export function windowsOf(state: WindowState): RemovalWindow[] {
  return parse(closedAtLast(state));
}

/**
 * The window that a late outcome adds to those that were noted when the batch was given up; undefined: none.
 * @param at what the clock showed in the answer that the batch is done.
 */
export function lateWindow(
  state: WindowState,
  at: number | undefined,
  maxGapMs: number,
): RemovalWindow | undefined {
  const open = openWindow(state);
  if (open === undefined || at === undefined || at - open.to > maxGapMs || at < open.from) return undefined;
  return { from: open.from, to: at };
}

/** From the time at which it opened to the latest answer. */
function openWindow({ begunAt, seenAt }: WindowState): RemovalWindow | undefined {
  if (begunAt === null) return undefined;
  return { from: begunAt.getTime(), to: (seenAt ?? begunAt).getTime() };
}

/** The closed windows with the open one, as far as that goes. */
function closedAtLast(state: WindowState): string | null {
  const open = openWindow(state);
  // At the latest answer the destination may not have begun: then the window is empty.
  return open === undefined || open.to <= open.from ? state.windows : withWindow(state.windows, open);
}

function closed(windows: string | null): WindowState {
  return { begunAt: null, seenAt: null, windows };
}

function withWindow(windows: string | null, { from, to }: RemovalWindow): string {
  const all = [...parse(windows), { from, to }].slice(-MAX_WINDOWS);
  return JSON.stringify(all.map((window) => [window.from, window.to]));
}

function parse(windows: string | null): RemovalWindow[] {
  const pairs = JSON.parse(windows ?? '[]') as [number, number][];
  return pairs.map(([from, to]) => ({ from, to }));
}
