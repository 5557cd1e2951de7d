import { emailKeyOf, withAsciiDomain } from '../src/email-address.js';

describe('the key of an e-mail address', () => {
  it.each([
    [' Ann.LEE+News@Example.COM\n', 'ann.lee+news@example.com'],
    ['\u212Aate@example.com', '\u212Aate@example.com'],
    ['\u212B@Example.com', '\u212B@example.com'],
    ['ÉVA@example.com', 'Éva@example.com'],
    ['Ana@BÜCHER.example', 'ana@xn--bcher-kva.example'],
    ['ana@bu\u0308cher.example', 'ana@xn--bcher-kva.example'],
    ['ana@XN--BCHER-KVA.example', 'ana@xn--bcher-kva.example'],
    ['ana@straße.example', 'ana@xn--strae-oqa.example'],
    ['ana@strasse.example', 'ana@strasse.example'],
    ['ana@\u212Aelvin.example', 'ana@kelvin.example'],
    ['ana@ｅｘａｍｐｌｅ.com', 'ana@example.com'],
    ['ana@例え。jp', 'ana@xn--r8jz45g.jp'],
    ['ana@пример.РФ', 'ana@xn--e1afmkfd.xn--p1ai'],
    ['É@BÜCHER.example', 'É@xn--bcher-kva.example'],
  ])('of %s is %s', (email, key) => {
    expect(emailKeyOf(email)).toBe(key);
    expect(emailKeyOf(key)).toBe(key);
  });

  it.each([
    'ana@xn--é.example',
    'ana@é/b.example',
    'ana@é b.example',
    'ana@é%41.example',
    'ana@\u0301a.example',
  ])('of %s, whose domain has no ASCII form, is the address itself', (email) => {
    expect(withAsciiDomain(email)).toBeUndefined();
    expect(emailKeyOf(email.toUpperCase().replace('É', 'é'))).toBe(email);
  });

  it('leaves the address as it is sent alone, but for a domain in another script', () => {
    expect(withAsciiDomain('Ann@Example.COM')).toBe('Ann@Example.COM');
    expect(withAsciiDomain('Éva@Example.COM')).toBe('Éva@Example.COM');
    expect(withAsciiDomain('Éva@BÜCHER.example')).toBe('Éva@xn--bcher-kva.example');
    expect(withAsciiDomain('no address')).toBe('no address');
  });
});
