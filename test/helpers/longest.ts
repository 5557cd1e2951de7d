/** The units of which long texts are made: each is what some expression or comparison handles badly. */
export const UNITS: Readonly<Record<string, string>> = {
  letters: 'x',
  spaces: ' \t',
  quotes: '"',
  'opened brackets': '([{',
  'at signs and dots': '@.',
  'words of a suggestion': 'Did you mean ',
  'a quoted value': ', found "" at "x"; ',
  'letters that look alike': 'ехроrt',
  'invisible characters': '\u200b',
};

/** The unit as often as fits into so many bytes of JSON. */
export function longest(unit: string, bytes: number): string {
  return unit.repeat(Math.floor(bytes / (Buffer.byteLength(JSON.stringify(unit)) - 2)));
}

/** One at the beginning, and all the others in the middle: an expression for spaces at the end fails at each of them. */
export function longestInside(unit: string, bytes: number): string {
  return `${unit}x${longest(unit, bytes - 10)}x`;
}
