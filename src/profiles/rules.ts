import { problemOfName } from '../names.js';
import { hasVisibleCharacter, showInvisible } from '../visible.js';

/**
 * What ids, names and values have to keep to. Every check answers what is wrong, as the second half of a sentence, or
 * undefined when all is well.
 */

const MAX_ID_LENGTH = 200;
const MAX_VALUE_LENGTH = 10_000;
/** Attributes that one line may name. */
export const MAX_ATTRIBUTES = 200;

const CONTROL_CHARACTER = /\p{Cc}/u;
/** NUL, which databases refuse in text, and halves of surrogate pairs, which no UTF-8 can hold. */
const UNSTORABLE = /[\0\p{Cs}]/u;

/** A line with this problem names nobody. */
export const EMPTY_ID = 'the id is empty';

/** An id is compared as it is written, without the space around it. */
export function problemOfId(id: string): string | undefined {
  if (id === '') return EMPTY_ID;
  if (id.length > MAX_ID_LENGTH) return `the id is longer than ${MAX_ID_LENGTH} characters`;
  if (CONTROL_CHARACTER.test(id) || UNSTORABLE.test(id)) return 'the id has a control character';
  return hasVisibleCharacter(id) ? undefined : EMPTY_ID;
}

export function problemOfAttributeName(name: string): string | undefined {
  // JavaScript objects give `__proto__`, `constructor` and the like a meaning of their own.
  if (name in Object.prototype) return 'it is reserved';
  return problemOfName(name);
}

/** @param name of the attribute, for the message. */
export function problemOfLength(name: string, value: string): string | undefined {
  if (value.length <= MAX_VALUE_LENGTH) return undefined;
  return `the value of ${quote(name)} is longer than ${MAX_VALUE_LENGTH.toLocaleString('en')} characters`;
}

/** Whether the text holds what no database and no UTF-8 can hold. */
export function isUnstorable(text: string): boolean {
  return UNSTORABLE.test(text);
}

/** A name as messages show it: in quotes, shortened, on one line, with characters that cannot be seen by their names. */
export function quote(name: string): string {
  const shown = `${name.slice(0, 50).toWellFormed()}${name.length > 50 ? '…' : ''}`;
  return JSON.stringify(showInvisible(shown));
}
