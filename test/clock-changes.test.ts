import { dueTimes } from '../src/exports/due-times.js';

/*
 * The rule of the README for changes of the clocks, held against an oracle: it walks through the minutes around every change of
 * two years, reads the clock of the zone at each, and knows nothing of cron but sets of numbers.
 */

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const BEGIN = Date.UTC(2026, 11, 1);
const END = Date.UTC(2028, 11, 1);
/** Before and behind a change. */
const AROUND_MS = 27 * HOUR_MS;

/** All kinds of change: by an hour, half an hour and two; at night, at midnight and in the evening; on four continents. */
const ZONES = [
  'Europe/Prague',
  'Europe/London',
  'Europe/Dublin',
  'Atlantic/Azores',
  'America/New_York',
  'America/St_Johns',
  'America/Havana',
  'America/Santiago',
  'America/Nuuk',
  'America/Scoresbysund',
  'Africa/Cairo',
  'Asia/Beirut',
  'Asia/Jerusalem',
  'Australia/Lord_Howe',
  'Australia/Sydney',
  'Pacific/Auckland',
  'Pacific/Chatham',
  'Antarctica/Troll',
];
const ALWAYS_THE_SAME = ['UTC', 'Asia/Kolkata'];

const RARER_THAN_HOURLY = [
  '0 2,14 * * *',
  '30 2 * * *',
  '0 0 * * *',
  '0 1 * * *',
  '0 3 * * *',
  '15,45 2 * * *',
  '0,30 0-3 * * *',
  '*/15 1-2 * * *',
  '0 */2 * * *',
  '30 1-23/2 * * *',
  '*/20 0,1,2,3,22,23 * * *',
  '5 0-22 * * *',
  '59 23 * * *',
  '0 2 * * SUN',
  '30 0 * * SAT,SUN,MON',
  '0 2 28 * *',
  '45 1,2,3 25-31 MAR,OCT *',
];
const HOURLY_OR_FASTER = [
  '0 * * * *',
  '*/5 * * * *',
  '7,37 0-23 * * *',
  '30 */1 * * SUN',
  '45 * 1-31 MAR,NOV *',
];

/** What the clock of a zone shows, as if it were UTC. */
function clockOf(timeZone: string): (ms: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    ...({ year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric' } as const),
  });
  return (ms) => {
    const [month, day, year, hour, minute] = (format.format(ms).match(/\d+/g) ?? []).map(Number);
    return Date.UTC(year ?? 0, (month ?? 0) - 1, day, hour, minute);
  };
}

/** The minutes at which the clock begins to show another offset. */
function changesOf(clock: (ms: number) => number): number[] {
  const offset = (ms: number) => clock(ms) - ms;
  const changes: number[] = [];
  for (let at = BEGIN; at < END; at += 12 * HOUR_MS) {
    if (offset(at) === offset(at + 12 * HOUR_MS)) continue;
    let minute = at;
    while (offset(minute) === offset(at)) minute += MINUTE_MS;
    changes.push(minute);
  }
  return changes;
}

const NAMES = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

function setOf(field: string, from: number, to: number, names: readonly string[] = []): Set<number> {
  const numberOf = (text: string) => {
    const index = names.indexOf(text.toLowerCase());
    return index === -1 ? Number(text) : index + from;
  };
  const numbers = field.split(',').flatMap((item) => {
    const [range = '', step] = item.split('/');
    const [first = '', last = first] = range === '*' ? [String(from), String(to)] : range.split('-');
    const all = Array.from(
      { length: numberOf(last) - numberOf(first) + 1 },
      (_, index) => numberOf(first) + index,
    );
    return all.filter((_, index) => index % Number(step ?? 1) === 0);
  });
  return new Set(numbers);
}

/** Whether a time on the clock is one of the expression's. */
function matcherOf(cron: string): (shown: number) => boolean {
  const [minute = '', hour = '', day = '', month = '', weekday = ''] = cron.split(' ');
  const minutes = setOf(minute, 0, 59);
  const hours = setOf(hour, 0, 23);
  const days = setOf(day, 1, 31);
  const months = setOf(month, 1, 12, NAMES);
  const weekdays = setOf(weekday, 0, 6, DAYS);
  const isEither = day !== '*' && weekday !== '*';
  return (shown) => {
    const at = new Date(shown);
    const isDay = days.has(at.getUTCDate());
    const isWeekday = weekdays.has(at.getUTCDay());
    return (
      minutes.has(at.getUTCMinutes()) &&
      hours.has(at.getUTCHours()) &&
      months.has(at.getUTCMonth() + 1) &&
      (isEither ? isDay || isWeekday : isDay && isWeekday)
    );
  };
}

/** Each minute, and what the clock shows. */
type Minutes = readonly (readonly [ms: number, shown: number])[];

function oracle(cron: string, minutes: Minutes, isEven: boolean): number[] {
  const matches = matcherOf(cron);
  const due: number[] = [];
  let latest = (minutes[0]?.[1] ?? 0) - MINUTE_MS;
  let before = latest;
  for (const [ms, shown] of minutes) {
    // What the clock has passed over is due now.
    let isDue = false;
    for (let skipped = before + MINUTE_MS; skipped < shown; skipped += MINUTE_MS) isDue ||= matches(skipped);
    // What it shows a second time is due again only if it recurs evenly.
    if (matches(shown) && (isEven || shown > latest)) isDue = true;
    if (isDue) due.push(ms);
    before = shown;
    latest = Math.max(latest, shown);
  }
  return due;
}

const inWords = (moments: readonly number[]) => moments.map((ms) => new Date(ms).toISOString().slice(0, 16));

describe('schedules when the clocks change', () => {
  it.each([...ZONES, ...ALWAYS_THE_SAME])('keep the rule in %s, at every change of two years', (timeZone) => {
    const clock = clockOf(timeZone);
    const changes = changesOf(clock);
    expect(changes.length).toBeGreaterThanOrEqual(ZONES.includes(timeZone) ? 4 : 0);
    for (const change of changes.length === 0 ? [BEGIN + AROUND_MS] : changes) {
      const from = change - AROUND_MS;
      const minutes: Minutes = Array.from({ length: (2 * AROUND_MS) / MINUTE_MS }, (_, index) => {
        const ms = from + index * MINUTE_MS;
        return [ms, clock(ms)];
      });
      const to = minutes.at(-1)?.[0] ?? from;
      for (const cron of [...RARER_THAN_HOURLY, ...HOURLY_OR_FASTER]) {
        const expected = oracle(cron, minutes, HOURLY_OR_FASTER.includes(cron));
        const within = (after: number, count: number) =>
          dueTimes({ cron, timeZone }, after, count)
            .map((moment) => moment.getTime())
            .filter((ms) => ms <= to);
        const what = `${timeZone}, ${cron}`;
        expect([what, ...inWords(within(from - MINUTE_MS, expected.length + 1))]).toEqual([
          what,
          ...inWords(expected),
        ]);
        // One after the other, as the scheduler asks, and from any minute in between, as after a restart.
        let after = from - MINUTE_MS;
        for (const due of expected.slice(0, 40)) {
          expect([what, ...inWords(within(after, 1))]).toEqual([what, ...inWords([due])]);
          after = due;
        }
        for (
          let minute = change - 150 * MINUTE_MS;
          minute < change + 150 * MINUTE_MS;
          minute += 13 * MINUTE_MS
        ) {
          const next = expected.filter((due) => due > minute).slice(0, 1);
          expect([what, ...inWords(within(minute, 1))]).toEqual([what, ...inWords(next)]);
        }
      }
    }
  });

  it('lose and double nothing in Prague at 2 and 14 hours', () => {
    const timetable = { cron: '0 2,14 * * *', timeZone: 'Europe/Prague' };
    const from = (moment: string) => inWords(dueTimes(timetable, Date.parse(moment), 4).map(Number));
    expect(from('2027-03-27T12:00Z')).toEqual([
      '2027-03-27T13:00',
      '2027-03-28T01:00',
      '2027-03-28T12:00',
      '2027-03-29T00:00',
    ]);
    expect(from('2027-10-30T11:00Z')).toEqual([
      '2027-10-30T12:00',
      '2027-10-31T00:00',
      '2027-10-31T13:00',
      '2027-11-01T01:00',
    ]);
  });
});
