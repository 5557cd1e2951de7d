import { hashToken, isGarbledToken, newToken } from '../src/security/tokens.js';

describe('tokens', () => {
  it('carry their prefix, 32 random bytes and a checksum', () => {
    const tokens = Array.from({ length: 1_000 }, newToken);
    for (const token of tokens) expect(token).toMatch(/^slu_[\w-]{49}$/);
    const randomParts = tokens.map((token) => Buffer.from(token.slice(4, 47), 'base64url'));
    expect(new Set(randomParts.map((bytes) => bytes.toString('hex'))).size).toBe(1_000);
    expect(randomParts.every((bytes) => bytes.length === 32)).toBe(true);
  });

  it('are recognised as whole', () => {
    for (const token of Array.from({ length: 100 }, newToken)) expect(isGarbledToken(token)).toBe(false);
  });

  it('show every mistyped character, swapped pair and cut', () => {
    const token = newToken();
    const spoilt = Array.from(token.slice(4), (character, index) => {
      const at = index + 4;
      const next = token[at + 1] ?? '';
      return [
        token.slice(0, at) + (character === 'A' ? 'B' : 'A') + token.slice(at + 1),
        token.slice(0, at),
        ...(next === '' || next === character
          ? []
          : [token.slice(0, at) + next + character + token.slice(at + 2)]),
      ];
    }).flat();
    expect(spoilt.filter((text) => !isGarbledToken(text))).toEqual([]);
    expect(isGarbledToken(`${token}x`)).toBe(true);
  });

  it('of others are not judged by our checksum', () => {
    expect(isGarbledToken('a-token-that-an-operator-chose')).toBe(false);
  });

  it('are kept as their SHA-256', () => {
    // FIPS 180-2, the example for "abc".
    expect(hashToken('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  });
});
