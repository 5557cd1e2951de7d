/*
 * Which characters a reader can see. Unicode has dozens that leave no mark: the kinds of space, and those that only steer
 * how their neighbours are shown (Default_Ignorable_Code_Point, format and control characters). The braille pattern without
 * dots, U+2800, is a symbol to Unicode and looks like a space.
 */

const VISIBLE = /[^\p{White_Space}\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}\u2800]/u;
/** Everything else but the ordinary space. */
const INVISIBLE = /(?! )[\p{White_Space}\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}\u2800]/gu;

const SPACE = /[\p{White_Space}\u2800]/u;

/** Whether the text has a character that can be seen. */
export function hasVisibleCharacter(text: string): boolean {
  return VISIBLE.test(text);
}

/** The text with each character that cannot be seen by its name, like `U+200B`; ordinary spaces stay. */
export function showInvisible(text: string): string {
  return text.replace(INVISIBLE, nameOf);
}

/**
 * What a reader sees of the text: kinds of space as ordinary ones and none around it, and no other character that cannot be
 * seen. Texts that look alike are the same then.
 */
export function looksOf(text: string): string {
  return text.replace(INVISIBLE, (character) => (SPACE.test(character) ? ' ' : '')).trim();
}

/** `U+200B` for the first character of the text. */
export function nameOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
}
