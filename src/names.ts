import { BadInputError } from './errors.js';
import { hasVisibleCharacter } from './visible.js';

const MAX_CHARACTERS = 200;
/** Control characters, and halves of surrogate pairs, which no UTF-8 can hold. */
const FORBIDDEN = /[\p{Cc}\p{Cs}]/u;

/**
 * The text without the spaces, tabs and line breaks of ASCII around it; everything else stays as it is, since other kinds of
 * space may be meant.
 */
export function trimAscii(text: string): string {
  return trim(text, isAsciiSpace);
}

/** The text without the spaces (U+0020) around it. */
export function trimSpaces(text: string): string {
  return trim(text, (code) => code === 0x20);
}

/** Two loops, because an expression for spaces before the end tries each space of a long text anew. */
function trim(text: string, isAround: (code: number) => boolean): string {
  let [from, to] = [0, text.length];
  while (from < to && isAround(text.charCodeAt(from))) from += 1;
  while (to > from && isAround(text.charCodeAt(to - 1))) to -= 1;
  return text.slice(from, to);
}

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
  return hasVisibleCharacter(name) ? undefined : 'it has no character that can be seen';
}
