import { isAddress } from '../sandbox/importer.js';
import { emailProblem } from '../src/destinations/active-campaign/emails.js';

describe('the rules for e-mail addresses', () => {
  it.each([
    'ana@example.com',
    'A@b.co',
    'ana.maria+news@mail.example.co.uk',
    "o'brien@example.com",
    'françois1@adventure-works.com',
    'jésus0@adventure-works.com',
    'ana@bücher.example',
    'ana@bu\u0308cher.example',
    'ana@xn--bcher-kva.example',
    'ana@例え.example',
    'ana@example.xn--p1ai',
    'ana@1-and-1.com',
    '{ana}!#$%&*/=?^`|~@example.com',
    '.ana..maria.@example.com',
    `${'a'.repeat(242)}@example.com`,
  ])('lets %s pass, and so does the sandbox', (email) => {
    expect(emailProblem(email)).toBeUndefined();
    expect(isAddress(email)).toBe(true);
  });

  it.each([
    ['nothing', ''],
    ['no @', 'ana.example.com'],
    ['nothing before the @', '@example.com'],
    ['nothing after the @', 'ana@'],
    ['nothing before the dot', 'ana@.com'],
    ['nothing between two dots', 'ana@mail..example.com'],
    ['two @', 'ana@maria@example.com'],
    ['a domain without a dot', 'kshen@consolidatedmessenger'],
    ['one letter after the dot', 'ana@example.c'],
    ['a digit after the dot', 'ana@example.c0m'],
    ['an address for a domain', 'ana@192.168.0.1'],
    ['a dot at the end', 'ana@example.com.'],
    ['an inner space', 'ana maria@example.com'],
    ['a space in the domain', 'ana@exam ple.com'],
    ['a space at the end', 'ana@example.com '],
    ['a no-break space', 'ana\u00a0maria@example.com'],
    ['a tab', 'ana\tmaria@example.com'],
    ['a line break', 'ana@example.com\n'],
    ['a NUL', 'ana\u0000@example.com'],
    ['a bell', 'ana\u0007@example.com'],
    ['a special character in the domain', 'ana@exam_ple.com'],
    ['an apostrophe in the domain', "ana@o'brien.com"],
    ['255 characters', `${'a'.repeat(243)}@example.com`],
    ['a domain that is none in ASCII', 'ana@xn--é.example'],
    ['a domain that begins with a mark', 'ana@\u0301a.example'],
    ['nothing between two ideographic dots', 'ana@bücher。。example'],
    ['a zero-width space in the domain', 'ana@büch\u200ber.example'],
    ['more than 254 characters in ASCII', `${'a'.repeat(230)}@${'ü'.repeat(12)}.example`],
    ['a name in front', 'Ana <ana@example.com>'],
  ])('refuses %s', (_, email) => {
    expect(emailProblem(email)).toMatch(/\.$/);
  });

  it.each([
    0x00, 0x1b, 0x7f, 0x85, 0xa0, 0xad, 0x34f, 0x600, 0x61c, 0x115f, 0x1680, 0x17b4, 0x180b, 0x180e, 0x2007,
    0x200b, 0x200d, 0x200f, 0x2028, 0x202e, 0x2060, 0x2064, 0x2069, 0x206f, 0x2800, 0x3000, 0x3164, 0xfe0f,
    0xfeff, 0xffa0, 0xfff9, 0x110bd, 0x1d173, 0xe0001, 0xe0061, 0xe0100,
  ])('refuses an address with the character %i anywhere, and names it', (code) => {
    const character = String.fromCodePoint(code);
    const name = `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
    for (const email of ['?ana@example.com', 'an?a@example.com', 'ana@exam?ple.com', 'ana@example.com?'])
      expect(emailProblem(email.replace('?', character))).toBe(
        `An e-mail address has no invisible characters in it; this one has ${name}.`,
      );
  });

  it.each(Array.from('"(),:;<>[\\]'))('refuses a %s', (character) => {
    expect(emailProblem(`an${character}a@example.com`)).toMatch(/\.$/);
  });
});
