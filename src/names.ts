import { BadInputError } from './errors.js';

const MAX_CHARACTERS = 200;
/** Control characters, and halves of surrogate pairs, which no UTF-8 can hold. */
const FORBIDDEN = /[\p{Cc}\p{Cs}]/u;
/** Neither a space nor a mark that only steers how its neighbours are written. */
const VISIBLE = /[^\p{Z}\p{Cf}]/u;
/** Of ASCII alone: other kinds of space may be meant. */
const SPACES_AROUND = /^[\t\n\r ]+|[\t\n\r ]+$/g;

/** The text without the spaces, tabs and line breaks of ASCII around it; everything else stays as it is. */
export function trimAscii(text: string): string {
  // Most texts have none, and are looked at by the million.
  return isAsciiSpace(text.charCodeAt(0)) || isAsciiSpace(text.charCodeAt(text.length - 1))
    ? text.replace(SPACES_AROUND, '')
    : text;
}

/** Of `SPACES_AROUND`; NaN, of an empty text, is none. */
function isAsciiSpace(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d;
}

/**
 * A name that people recognise something by: 1 to 200 characters on one line, without spaces around it. Whatever else
 * people write is kept as they wrote it.
 * @param field of the input that holds it.
 * @throws {BadInputError}
 */
export function parseName(field: string, input: string): string {
  const name = trimAscii(input);
  const problem = problemOfName(name);
  if (problem === undefined) return name;
  throw new BadInputError(
    field,
    `The name cannot be used: ${problem}.`,
    `Give a name of 1 to ${MAX_CHARACTERS} characters on one line.`,
  );
}

/** What is wrong with the name, as the second half of a sentence; undefined: nothing. */
export function problemOfName(name: string): string | undefined {
  if (name === '') return 'it is empty';
  if (Array.from(name).length > MAX_CHARACTERS) return `it is longer than ${MAX_CHARACTERS} characters`;
  if (FORBIDDEN.test(name)) return 'it has a control character';
  return VISIBLE.test(name) ? undefined : 'it has no character that can be seen';
}
