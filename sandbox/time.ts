/** A thing to be done at a moment of sandbox time. */
interface Appointment {
  due: number;
  task: (due: number) => void;
}

/** Node's longest timer; longer waits are cut into several. */
const LONGEST_TIMER_MS = 2_147_483_647;

/**
 * Sandbox time in ms. It starts at today's date and runs `timeScale` times as fast as its source.
 *
 * The source is either the machine's own monotonic clock, in which case appointments fire by timers, or a
 * function given by a test, in which case they fire when somebody asks (`advance`): every request and every
 * reading of the state does. Either way an appointment runs with the moment for which it was made, so what it
 * writes does not depend on how late it ran.
 */
export class Clock {
  private readonly origin: number;
  private readonly sourceOrigin: number;
  private readonly source: () => number;
  private readonly appointments: Appointment[] = [];
  private timer: NodeJS.Timeout | undefined;
  private readonly injected: boolean;

  constructor(
    readonly timeScale: number,
    source?: () => number,
  ) {
    this.injected = source !== undefined;
    // performance.now is finer than a millisecond: at scale 100000 a millisecond would be a minute and a half.
    this.source = source ?? (() => performance.now());
    this.sourceOrigin = this.source();
    this.origin = source === undefined ? Date.now() : this.sourceOrigin;
  }

  /** By how much lateness on the wire grows in sandbox time; an injected clock knows no wire. */
  get magnification(): number {
    return this.injected ? 0 : Math.max(0, this.timeScale - 1);
  }

  now(): number {
    return this.origin + (this.source() - this.sourceOrigin) * this.timeScale;
  }

  /** Runs `task` once at `due` (sandbox ms), or at the next `advance` if that is past. */
  at(due: number, task: (due: number) => void): void {
    let place = this.appointments.length;
    while (place > 0 && (this.appointments[place - 1]?.due ?? 0) > due) place -= 1;
    this.appointments.splice(place, 0, { due, task });
    if (place === 0) this.setTimer();
  }

  /** Runs everything that is due by now, earliest first. */
  advance(): void {
    const now = this.now();
    let next = this.appointments[0];
    if (next === undefined || next.due > now) return;
    while (next !== undefined && next.due <= now) {
      this.appointments.shift();
      next.task(next.due);
      next = this.appointments[0];
    }
    this.setTimer();
  }

  /** Forgets all appointments. */
  stop(): void {
    this.appointments.length = 0;
    clearTimeout(this.timer);
  }

  private setTimer(): void {
    if (this.injected) return;
    clearTimeout(this.timer);
    const next = this.appointments[0];
    if (next === undefined) return;
    const waitMs = Math.max(0, (next.due - this.now()) / this.timeScale);
    this.timer = setTimeout(
      () => {
        this.advance();
        // Timers are cut short, and fire early by a hair: then nothing was due yet.
        this.setTimer();
      },
      Math.min(Math.ceil(waitMs), LONGEST_TIMER_MS),
    );
  }
}

/** `2021-03-23T06:05:00-05:00`: how ActiveCampaign writes moments, in the account's own offset. */
export function localIso(atMs: number, utcOffsetMinutes: number): string {
  const local = new Date(atMs + utcOffsetMinutes * 60_000).toISOString();
  const sign = utcOffsetMinutes < 0 ? '-' : '+';
  const minutes = Math.abs(utcOffsetMinutes);
  const hh = String(Math.floor(minutes / 60)).padStart(2, '0');
  const mm = String(minutes % 60).padStart(2, '0');
  return `${local.slice(0, 19)}${sign}${hh}:${mm}`;
}

/** `2021-03-23 06:05:00`: the `*_timestamp` keys, local time without a zone, even those named utc. */
export function localTimestamp(atMs: number, utcOffsetMinutes: number): string {
  return new Date(atMs + utcOffsetMinutes * 60_000).toISOString().slice(0, 19).replace('T', ' ');
}

/** `2021-06-01`: the day by which the importer's backlog is added up. */
export function localDay(atMs: number, utcOffsetMinutes: number): string {
  return new Date(atMs + utcOffsetMinutes * 60_000).toISOString().slice(0, 10);
}
