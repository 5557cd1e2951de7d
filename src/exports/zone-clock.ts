const MINUTE_MS = 60_000;
/** More than any zone is away from UTC. */
const FAR_MS = 26 * 60 * MINUTE_MS;

/**
 * The clocks of a time zone. What they show is written as ms since 1970, as if it were UTC; times and moments are whole
 * minutes.
 */
export class ZoneClock {
  private readonly format: Intl.DateTimeFormat;

  constructor(timeZone: string) {
    this.format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  }

  /** How far the clocks are ahead of UTC at a moment. */
  offsetAt(ms: number): number {
    const [month = 0, day, year = 0, hour, minute, second] = (this.format.format(ms).match(/\d+/g) ?? []).map(
      Number,
    );
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(ms / 1_000) * 1_000;
  }

  /** When the clocks show this time first; or if they never do, the moment at which they are put forward past it. */
  firstMomentOf(shown: number): number {
    const before = this.offsetAt(shown - FAR_MS);
    const after = this.offsetAt(shown + FAR_MS);
    // The greater offset is the earlier moment.
    for (const offset of before > after ? [before, after] : [after, before]) {
      if (this.offsetAt(shown - offset) === offset) return shown - offset;
    }
    return this.changeBetween(shown - FAR_MS, shown + FAR_MS);
  }

  /** The first moment with another offset than at `from`; at `to` it is another. */
  changeBetween(from: number, to: number): number {
    const offset = this.offsetAt(from);
    let same = Math.floor(from / MINUTE_MS);
    let changed = Math.ceil(to / MINUTE_MS);
    while (changed - same > 1) {
      const middle = Math.floor((same + changed) / 2);
      if (this.offsetAt(middle * MINUTE_MS) === offset) same = middle;
      else changed = middle;
    }
    return changed * MINUTE_MS;
  }
}
