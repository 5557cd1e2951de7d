import { Cron } from 'croner';
import { BadInputError } from '../errors.js';
import { nearestOf } from '../nearest.js';
import { ZoneClock } from './zone-clock.js';

/**
 * When something is due: a cron expression of five fields, by the clocks of a time zone.
 *
 * Where the clocks are put forward, a fixed time that does not exist is due at the next minute that does; where they are
 * put back, one that exists twice is due the first time alone. What recurs within the hour, or every hour, goes on evenly.
 *
 * croner says which times an expression has, by a clock that never changes. When the clocks of the zone show these times is
 * worked out here: croner itself loses or doubles some when the clocks change (see docs/adr/113).
 */
export interface Timetable {
  readonly cron: string;
  readonly timeZone: string;
}

const FIELD_NAMES = ['minute', 'hour', 'day of the month', 'month', 'day of the week'];
/** Digits, `*`, lists, ranges, steps, and the English names of months and days. */
const FIELD = /^(?:[\d*,/-]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mon|tue|wed|thu|fri|sat|sun)+$/i;
const MIN_INTERVAL_MINUTES = 5;
const MINUTE_MS = 60_000;
const LAST_HOUR = 23;
/** Enough to see two days of a recurrence that is not too fast. */
const WATCHED = 600;

/** The next moments after `afterMs` at which it is due; fewer when it is never due again. */
export function dueTimes({ cron, timeZone }: Timetable, afterMs: number, count: number): Date[] {
  const times = timesOf(cron);
  const clock = new ZoneClock(timeZone);
  const moments = isEveryHour(cron)
    ? evenMoments(times, clock, afterMs)
    : firstMoments(times, clock, afterMs);
  const due: Date[] = [];
  for (const moment of moments) {
    if (due.length === count) break;
    due.push(new Date(moment));
  }
  return due;
}

/** The next time of an expression after another, as a clock shows it; undefined: there is none. */
type NextTime = (after: number) => number | undefined;

function timesOf(cron: string): NextTime {
  const pattern = new Cron(cron, { timezone: 'UTC', mode: '5-part', paused: true });
  return (after) => pattern.nextRun(new Date(after))?.getTime();
}

/** Whether every hour of the day is meant: such an expression goes on evenly. */
function isEveryHour(cron: string): boolean {
  const [, field = ''] = cron.split(' ');
  const hours = field.split(',').flatMap((item) => {
    const [range = '', step] = item.split('/');
    const [first = '', last] = range === '*' ? ['0'] : range.split('-');
    const isOpen = range === '*' || (step !== undefined && last === undefined);
    const to = isOpen ? LAST_HOUR : Number(last ?? first);
    const count = Math.floor((to - Number(first)) / Number(step ?? 1)) + 1;
    return Array.from({ length: count }, (_, index) => Number(first) + index * Number(step ?? 1));
  });
  return new Set(hours).size > LAST_HOUR;
}

/** When the clocks show each time first. Moments are in the order of the times; several that never come share one. */
function* firstMoments(next: NextTime, clock: ZoneClock, afterMs: number): Generator<number> {
  let last = afterMs;
  let shown = next(afterMs + clock.offsetAt(afterMs));
  for (; shown !== undefined; shown = next(shown)) {
    const moment = clock.firstMomentOf(shown);
    if (moment <= last) continue;
    yield moment;
    last = moment;
  }
}

/** Whenever the clocks show one of the times, and when they are put forward past one. */
function* evenMoments(next: NextTime, clock: ZoneClock, afterMs: number): Generator<number> {
  let now = afterMs;
  let offset = clock.offsetAt(now);
  let shown = next(now + offset);
  while (shown !== undefined) {
    const moment = shown - offset;
    if (clock.offsetAt(moment) === offset) {
      yield moment;
      now = moment;
      shown = next(shown);
      continue;
    }
    // Until the change there is no other time, and behind it the clocks go on from what they show then.
    now = clock.changeBetween(now, moment);
    offset = clock.offsetAt(now);
    if (shown < now + offset) yield now;
    shown = next(shown < now + offset ? now + offset : now + offset - MINUTE_MS);
  }
}

/** The next of several timetables together; null: none is ever due again. */
export function nextDue(timetables: readonly Timetable[], afterMs: number): Date | null {
  return nextDues(timetables, afterMs, 1)[0] ?? null;
}

/** The next moments of several timetables together, each moment once. */
export function nextDues(timetables: readonly Timetable[], afterMs: number, count: number): Date[] {
  const moments = timetables.flatMap((timetable) => dueTimes(timetable, afterMs, count));
  const inOrder = [...new Set(moments.map((moment) => moment.getTime()))].sort((a, b) => a - b);
  return inOrder.slice(0, count).map((moment) => new Date(moment));
}

/**
 * @param field the input that holds the expression; its zone is at `timeZone` beside it.
 * @throws {BadInputError} for what is no expression of five fields, is never due, or recurs faster than every 5 minutes.
 */
export function parseTimetable(cron: string, timeZone: string, path: string): Timetable {
  const zone = parseTimeZone(timeZone, `${path}.timeZone`);
  const field = `${path}.cron`;
  const parts = cron.trim().split(/\s+/);
  if (parts.length !== FIELD_NAMES.length || cron.trim() === '') {
    throw new BadInputError(
      field,
      `The cron expression has ${cron.trim() === '' ? 0 : parts.length} fields.`,
      `Give five, divided by spaces: ${FIELD_NAMES.join(', ')}. "30 7 * * MON-FRI" is half past seven on working days.`,
    );
  }
  const strange = parts.findIndex((part) => !FIELD.test(part));
  if (strange >= 0) {
    throw new BadInputError(
      field,
      `The ${FIELD_NAMES[strange] ?? ''} of the cron expression cannot be read.`,
      'Use numbers, names like MON and JAN, and * , - / alone.',
    );
  }
  const timetable = { cron: parts.join(' '), timeZone: zone };
  if (firstOf(timetable, field) === undefined) {
    throw new BadInputError(
      field,
      'The cron expression is never due.',
      'Name a day that exists in the month.',
    );
  }
  refuseHaste(parts, field);
  return timetable;
}

/** The zone as IANA writes it. @throws {BadInputError} with the nearest name. */
export function parseTimeZone(input: string, field: string): string {
  const name = input.trim();
  try {
    const { timeZone } = new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions();
    // Offsets like +01:00 are accepted there too; they know no daylight saving time.
    if (/^[a-z]/i.test(name)) return timeZone.toLowerCase() === name.toLowerCase() ? timeZone : name;
  } catch (error: unknown) {
    if (!(error instanceof RangeError)) throw error;
  }
  const nearest = nearestOf(name, Intl.supportedValuesOf('timeZone'));
  throw new BadInputError(
    field,
    `There is no time zone ${JSON.stringify(name.slice(0, 50))}.`,
    `${nearest === undefined ? '' : `Did you mean ${nearest}? `}Name one of the IANA time zones, like Europe/Prague or UTC.`,
  );
}

function firstOf(timetable: Timetable, field: string): Date | undefined {
  try {
    // From a fixed moment: an expression is not right on one day and wrong on another.
    return dueTimes(timetable, 0, 1)[0];
  } catch (error: unknown) {
    const reason = error instanceof Error ? error.message.replace(/^CronPattern: /, '') : '';
    throw new BadInputError(
      field,
      `The cron expression cannot be read: ${reason}.`,
      `The five fields are ${FIELD_NAMES.join(', ')}.`,
    );
  }
}

/** Looks at minutes and hours as if every day were meant: what is rare by its days may still come twice in a minute. */
function refuseHaste([minute = '*', hour = '*']: readonly string[], field: string): void {
  const moments = dueTimes({ cron: `${minute} ${hour} * * *`, timeZone: 'UTC' }, 0, WATCHED);
  const isTooFast = moments.some((moment, index) => {
    const before = moments[index - 1];
    return before !== undefined && moment.getTime() - before.getTime() < MIN_INTERVAL_MINUTES * MINUTE_MS;
  });
  if (!isTooFast) return;
  throw new BadInputError(
    field,
    `The cron expression recurs faster than every ${MIN_INTERVAL_MINUTES} minutes.`,
    `Leave at least ${MIN_INTERVAL_MINUTES} minutes between two times, like */15 for every quarter of an hour.`,
  );
}
