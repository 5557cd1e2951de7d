/** How a value of a profile, which is always text, is compared. */
export type Comparison = 'text' | 'number' | 'date';

const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i;
/** ISO 8601: a date, or a date and a time with or without an offset. */
const DATE =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(Z|[+-]\d{2}:?\d{2})?)?$/i;

/** A decimal number, with a point and without separators of thousands. @returns undefined: it is none. */
export function parseNumber(text: string): number | undefined {
  const trimmed = text.trim();
  if (!NUMBER.test(trimmed)) return undefined;
  const number = Number(trimmed);
  return Number.isFinite(number) ? number : undefined;
}

/**
 * A moment, in ms since 1970. A date without a time is its beginning; without an offset it is UTC.
 * @returns undefined: it is no ISO 8601 date, or there is no such day or time.
 */
export function parseDate(text: string): number | undefined {
  const found = DATE.exec(text.trim());
  if (found === null) return undefined;
  const [year, month, day, hour, minute, second] = found
    .slice(1, 7)
    .map((part: string | undefined) => Number(part ?? 0));
  const [, , , , , , , fraction = '', offset = 'Z'] = found as (string | undefined)[];
  const moment = new Date(0);
  // Not Date.UTC, to which the year 99 is 1999.
  moment.setUTCFullYear(year ?? 0, (month ?? 1) - 1, day ?? 1);
  const isRealDay = moment.getUTCMonth() === (month ?? 1) - 1 && moment.getUTCDate() === day;
  const isRealTime = (hour ?? 0) <= 23 && (minute ?? 0) <= 59 && (second ?? 0) <= 59;
  const offsetMinutes = parseOffset(offset);
  if (!isRealDay || !isRealTime || offsetMinutes === undefined) return undefined;
  const milliseconds = Number(fraction.padEnd(3, '0').slice(0, 3));
  moment.setUTCHours(hour ?? 0, (minute ?? 0) - offsetMinutes, second ?? 0, milliseconds);
  return moment.getTime();
}

function parseOffset(text: string): number | undefined {
  if (text.toUpperCase() === 'Z') return 0;
  const [hours, minutes] = [Number(text.slice(1, 3)), Number(text.slice(-2))];
  if (hours > 23 || minutes > 59) return undefined;
  return (text.startsWith('-') ? -1 : 1) * (hours * 60 + minutes);
}

// eslint-disable-next-line no-control-regex -- the range of ASCII begins with control characters
const ASCII = /^[\x00-\x7f]*$/;
/** A Turkic letter, which Unicode folds to itself although its capital is I. */
const DOTLESS_I = 'ı';

/**
 * The text without its case, as Unicode folds it: *Straße* is *STRASSE*, *ΣΊΣΥΦΟΣ* is *σίσυφος*, whatever the language,
 * and however accents are composed (The Unicode Standard, 3.13, D145).
 */
export function foldCase(text: string): string {
  if (ASCII.test(text)) return text.toLowerCase();
  return Array.from(text.normalize('NFD'), foldCharacter).join('').normalize('NFC');
}

/**
 * Character by character, because in a text JavaScript writes a Σ at the end of a word as ς. Lower case first brings ẞ to
 * ß, upper case ß to SS and ς to Σ, and lower case again everything to one form.
 */
function foldCharacter(character: string): string {
  if (character === DOTLESS_I) return character;
  return character.toLowerCase().toUpperCase().toLowerCase();
}
