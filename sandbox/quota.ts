import type { Settings } from './settings.js';

const MINUTE_MS = 60_000;
const SECOND_MS = 1_000;

/** Moments of calls, oldest first; forgets those that a window has passed. */
class Window {
  private moments: number[] = [];
  private head = 0;

  constructor(private readonly lengthMs: number) {}

  /** How many calls a window that ends at `now` holds; `shorterByMs` forgives magnified jitter. */
  count(now: number, shorterByMs: number, kind: Settings['window']): number {
    const lengthMs = this.lengthMs - shorterByMs;
    if (lengthMs <= 0) return 0;
    this.forget(now);
    const start = kind === 'fixed' ? Math.floor(now / this.lengthMs) * this.lengthMs : now - lengthMs;
    let held = 0;
    for (let index = this.moments.length - 1; index >= this.head; index -= 1) {
      const moment = this.moments[index] ?? 0;
      if (kind === 'fixed' ? moment < start : moment <= start) break;
      held += 1;
    }
    return held;
  }

  /** Adds a call. @returns how many the true window holds with it */
  add(now: number): number {
    this.forget(now);
    this.moments.push(now);
    return this.moments.length - this.head;
  }

  private forget(now: number): void {
    while (this.head < this.moments.length && (this.moments[this.head] ?? 0) <= now - this.lengthMs) {
      this.head += 1;
    }
    if (this.head > 1_024 && this.head * 2 > this.moments.length) {
      this.moments = this.moments.slice(this.head);
      this.head = 0;
    }
  }
}

export type QuotaRefusal = 'second' | 'minute' | 'minute-single';

/** The busiest windows that were ever seen, refused calls included, by the true length of the window. */
export interface Busiest {
  requestsInOneSecond: number;
  importsInOneMinute: number;
  singleImportsInOneMinute: number;
}

/**
 * The account's three quotas: calls in a second over all routes; importer calls in a minute, with several contacts
 * and with one. A refused call uses nothing up.
 */
export class Quotas {
  private readonly second = new Window(SECOND_MS);
  private readonly several = new Window(MINUTE_MS);
  private readonly single = new Window(MINUTE_MS);
  private readonly seenSecond = new Window(SECOND_MS);
  private readonly seenSeveral = new Window(MINUTE_MS);
  private readonly seenSingle = new Window(MINUTE_MS);
  readonly busiest: Busiest = { requestsInOneSecond: 0, importsInOneMinute: 0, singleImportsInOneMinute: 0 };
  readonly refusals: Record<QuotaRefusal, number> = { second: 0, minute: 0, 'minute-single': 0 };

  constructor(
    private readonly settings: Settings,
    /** By how much scaled time magnifies lateness on the wire; 0 when time is not scaled. */
    private readonly magnification: number,
  ) {}

  /** Takes a call to any route. @returns whether it is within the quota, and what the headers shall say */
  takeRequest(now: number, importer: boolean): { allowed: boolean; limit: number; remaining: number } {
    const limit = this.settings.requestsPerSecond;
    if (importer && !this.settings.importerCountsAsRequest) return { allowed: true, limit, remaining: limit };
    this.busiest.requestsInOneSecond = Math.max(this.busiest.requestsInOneSecond, this.seenSecond.add(now));
    const used = this.count(this.second, now);
    if (this.settings.quotas && used >= limit) {
      this.refusals.second += 1;
      return { allowed: false, limit, remaining: 0 };
    }
    this.second.add(now);
    return { allowed: true, limit, remaining: Math.max(0, limit - used - 1) };
  }

  /** Takes an importer call. @returns whether it is within the quota of its kind */
  takeImport(now: number, single: boolean): boolean {
    if (single) {
      const seen = this.seenSingle.add(now);
      this.busiest.singleImportsInOneMinute = Math.max(this.busiest.singleImportsInOneMinute, seen);
    } else {
      this.busiest.importsInOneMinute = Math.max(this.busiest.importsInOneMinute, this.seenSeveral.add(now));
    }
    const window = single ? this.single : this.several;
    const limit = single ? this.settings.singleImportsPerMinute : this.settings.importsPerMinute;
    if (this.settings.quotas && this.count(window, now) >= limit) {
      this.refusals[single ? 'minute-single' : 'minute'] += 1;
      return false;
    }
    window.add(now);
    return true;
  }

  private count(window: Window, now: number): number {
    if (!this.settings.quotas) return 0;
    return window.count(now, this.settings.jitterMs * this.magnification, this.settings.window);
  }
}
