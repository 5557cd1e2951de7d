import { dueTimes, nextDues, parseTimetable, parseTimeZone } from '../src/exports/due-times.js';

/** The moments in UTC, like `03-29 01:00`. */
function due(cron: string, timeZone: string, after: string, count: number): string[] {
  const timetable = parseTimetable(cron, timeZone, 'schedule');
  return dueTimes(timetable, Date.parse(after), count).map((moment) =>
    moment.toISOString().slice(5, 16).replace('T', ' '),
  );
}

/** What it throws. */
function refusalOf(work: () => unknown): unknown {
  try {
    return work();
  } catch (error: unknown) {
    return error;
  }
}

describe('a time that does not exist is due at the next valid minute, and the day after at its own', () => {
  it.each([
    ['Europe/Prague', '30 2 * * *', '2026-03-28T12:00Z', ['03-29 01:00', '03-30 00:30']],
    ['Europe/Prague', '0 2 * * *', '2026-03-28T12:00Z', ['03-29 01:00', '03-30 00:00']],
    ['America/New_York', '15 2 * * *', '2026-03-07T12:00Z', ['03-08 07:00', '03-09 06:15']],
    ['Australia/Lord_Howe', '15 2 * * *', '2026-10-03T00:00Z', ['10-03 15:30', '10-04 15:15']],
  ])('%s, %s', (timeZone, cron, after, moments) => {
    expect(due(cron, timeZone, after, 2)).toEqual(moments);
  });
});

describe('a time that exists twice is due once', () => {
  it.each([
    ['Europe/Prague', '30 2 * * *', '2026-10-24T12:00Z', ['10-25 00:30', '10-26 01:30']],
    ['America/New_York', '30 1 * * *', '2026-10-31T12:00Z', ['11-01 05:30', '11-02 06:30']],
    ['Australia/Lord_Howe', '45 1 * * *', '2026-04-04T00:00Z', ['04-04 14:45', '04-05 15:15']],
  ])('%s, %s', (timeZone, cron, after, moments) => {
    expect(due(cron, timeZone, after, 2)).toEqual(moments);
    // Asked in between, as after a restart, it is not due a second time either.
    const between = new Date(
      Date.parse(`2026-${moments[0]?.replace(' ', 'T') ?? ''}Z`) + 60_000,
    ).toISOString();
    expect(due(cron, timeZone, between, 1)).toEqual(moments.slice(1));
  });
});

describe('what recurs evenly goes on evenly', () => {
  it.each([
    ['Europe/Prague', '*/30 * * * *', '2026-03-29T00:00Z', ['03-29 00:30', '03-29 01:00', '03-29 01:30']],
    ['Europe/Prague', '*/30 * * * *', '2026-10-25T00:00Z', ['10-25 00:30', '10-25 01:00', '10-25 01:30']],
    ['America/New_York', '0 * * * *', '2026-11-01T04:30Z', ['11-01 05:00', '11-01 06:00', '11-01 07:00']],
    [
      'Australia/Lord_Howe',
      '*/15 * * * *',
      '2026-04-04T14:40Z',
      ['04-04 14:45', '04-04 15:00', '04-04 15:15'],
    ],
  ])('%s, %s, from %s', (timeZone, cron, after, moments) => {
    expect(due(cron, timeZone, after, 3)).toEqual(moments);
  });
});

describe('a cron expression', () => {
  it('has five fields with numbers, names, lists, ranges and steps', () => {
    expect(due('0 8-10/2,20 * jan mon-fri', 'UTC', '2026-01-02T00:00Z', 4)).toEqual([
      '01-02 08:00',
      '01-02 10:00',
      '01-02 20:00',
      '01-05 08:00',
    ]);
    expect(due('0 0 29 2 *', 'UTC', '2026-01-02T00:00Z', 1)).toEqual(['02-29 00:00']);
    expect(due('0 0 1 * SUN', 'UTC', '2026-01-02T00:00Z', 3)).toEqual([
      '01-04 00:00',
      '01-11 00:00',
      '01-18 00:00',
    ]);
    expect(parseTimetable('  0   7 * * *  ', 'europe/prague', 'schedule')).toEqual({
      cron: '0 7 * * *',
      timeZone: 'Europe/Prague',
    });
  });

  it.each([
    ['', 'has 0 fields'],
    ['* * *', 'has 3 fields'],
    ['0 0 7 * * *', 'has 6 fields'],
    ['@daily', 'has 1 fields'],
    ['61 * * * *', 'cannot be read: Invalid value for minute: 61'],
    ['0 7 * * 9', 'cannot be read'],
    ['0 7 * * FUNDAY', 'The day of the week of the cron expression cannot be read'],
    ['H 7 * * *', 'The minute of the cron expression cannot be read'],
    ['0 7 L * *', 'The day of the month of the cron expression cannot be read'],
    ['0 7 ? * *', 'The day of the month of the cron expression cannot be read'],
    ['*/0 * * * *', 'cannot be read'],
    ['0 0 30 2 *', 'is never due'],
    ['* * * * *', 'faster than every 5 minutes'],
    ['*/4 * * * *', 'faster than every 5 minutes'],
    ['0,57 * * * *', 'faster than every 5 minutes'],
    ['2,58 0,23 * * *', 'faster than every 5 minutes'],
    ['0,1 3 1 1 *', 'faster than every 5 minutes'],
  ])('like "%s" is refused', (cron, message) => {
    expect(refusalOf(() => parseTimetable(cron, 'UTC', 'schedule'))).toMatchObject({
      code: 'BAD_USER_INPUT',
      field: 'schedule.cron',
      message: expect.stringContaining(message) as unknown,
    });
  });

  it.each(['*/5 * * * *', '0,55 * * * *', '2,57 0,23 * * *', '59 23 * * *'])(
    'like "%s" is not too fast',
    (cron) => {
      expect(parseTimetable(cron, 'UTC', 'schedule').cron).toBe(cron);
    },
  );
});

describe('a time zone', () => {
  it.each(['Europe/Prague', 'UTC', 'Asia/Calcutta', 'Asia/Kolkata', 'Australia/Lord_Howe'])(
    '%s is known',
    (name) => {
      expect(parseTimeZone(name, 'timeZone')).toBe(name);
    },
  );

  it.each([
    ['Europe/Prag', 'Did you mean Europe/Prague?'],
    ['+01:00', 'Name one of the IANA time zones'],
    ['', 'Name one of the IANA time zones'],
    ['Middle/Earth', 'Name one of the IANA time zones'],
  ])('"%s" is refused', (name, remedy) => {
    expect(refusalOf(() => parseTimeZone(name, 'timeZone'))).toMatchObject({
      code: 'BAD_USER_INPUT',
      field: 'timeZone',
      remedy: expect.stringContaining(remedy) as unknown,
    });
  });
});

describe('several timetables together', () => {
  it('give each moment once, in order', () => {
    const at = (cron: string) => ({ cron, timeZone: 'UTC' });
    const moments = nextDues([at('0 7 * * *'), at('0 7 * * MON'), at('0 6 * * *')], Date.UTC(2026, 0, 5), 3);
    expect(moments.map((moment) => moment.toISOString().slice(0, 16))).toEqual([
      '2026-01-05T06:00',
      '2026-01-05T07:00',
      '2026-01-06T06:00',
    ]);
  });
});
