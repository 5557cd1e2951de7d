/*
 * Which characters a reader can see. Unicode has hundreds that leave no mark: the kinds of space, and those that only steer
 * how their neighbours are shown (Default_Ignorable_Code_Point, format and control characters). The braille pattern without
 * dots, U+2800, is a symbol to Unicode and looks like a space. Of the format characters, the signs that stand in front of
 * numbers in Arabic and other scripts are visible.
 */

const VISIBLE =
  /[^\p{White_Space}\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}\u2800]|[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u{110bd}\u{110cd}]/u;
/** Also the signs in front of numbers. */
const INVISIBLE = /[\p{White_Space}\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}\u2800]/u;
const INVISIBLE_BUT_SPACES = new RegExp(`(?! )${INVISIBLE.source}`, 'gu');
const SPACE = /[\p{White_Space}\u2800]/u;

/** Whether the text has a character that can be seen. */
export function hasVisibleCharacter(text: string): boolean {
  return VISIBLE.test(text);
}

/** The text; or an empty one if it has no character that can be seen. */
export function emptyIfInvisible(text: string): string {
  return hasVisibleCharacter(text) ? text : '';
}

/** The first space, control character, format character or other character that leaves no mark of its own. */
export function invisibleIn(text: string): string | undefined {
  return INVISIBLE.exec(text)?.[0];
}

/** The text with each character that cannot be seen by its name, like `U+200B`; ordinary spaces stay. */
export function showInvisible(text: string): string {
  return text.replace(INVISIBLE_BUT_SPACES, nameOf);
}

/**
 * What a reader sees of the text: kinds of space as ordinary ones and none around it, and no other character that cannot be
 * seen. Texts that look alike are the same then.
 */
export function looksOf(text: string): string {
  return text.replace(INVISIBLE_BUT_SPACES, (character) => (SPACE.test(character) ? ' ' : '')).trim();
}

/** `U+200B` for the first character of the text. */
export function nameOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
}
