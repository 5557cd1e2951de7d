import { BadInputError } from '../src/errors.js';
import { parseHost } from '../src/security/hosts.js';

const POLICY = { suffixes: ['api-us1.com', 'activehosted.com'], sandboxHosts: ['127.0.0.1:4010'] };

function refusalOf(input: string): BadInputError {
  try {
    parseHost(input, POLICY);
  } catch (error: unknown) {
    if (error instanceof BadInputError) return error;
  }
  throw new Error(`${input} was not refused.`);
}

describe('the host guard', () => {
  it.each([
    ['acme.api-us1.com', 'acme.api-us1.com'],
    ['  acme.api-us1.com\n', 'acme.api-us1.com'],
    ['Acme.API-US1.com', 'acme.api-us1.com'],
    ['acme-2.activehosted.com', 'acme-2.activehosted.com'],
    ['eu.acme.api-us1.com', 'eu.acme.api-us1.com'],
    ['https://acme.api-us1.com', 'acme.api-us1.com'],
    ['https://acme.api-us1.com/', 'acme.api-us1.com'],
    ['https://acme.api-us1.com/api/3', 'acme.api-us1.com'],
    ['https://acme.api-us1.com/api/3/', 'acme.api-us1.com'],
    ['127.0.0.1:4010', '127.0.0.1:4010'],
  ])('accepts %j as %s', (input, host) => {
    expect(parseHost(input, POLICY)).toBe(host);
  });

  it.each([
    ['nothing', ''],
    ['a name without a dot', 'acme'],
    ['another site', 'example.com'],
    ['a suffix alone', 'api-us1.com'],
    ['a suffix after an empty label', '.api-us1.com'],
    ['a look-alike suffix', 'evilapi-us1.com'],
    ['a suffix in the middle', 'acme.api-us1.com.example.com'],
    ['http', 'http://acme.api-us1.com'],
    ['another scheme', 'ftp://acme.api-us1.com'],
    ['no scheme', '//acme.api-us1.com'],
    ['a user', 'https://user@acme.api-us1.com'],
    ['a user and password', 'https://user:password@acme.api-us1.com'],
    ['the real host after an @', 'acme.api-us1.com@example.com'],
    ['a host hidden before an @', 'https://example.com@acme.api-us1.com'],
    ['a port', 'acme.api-us1.com:8443'],
    ['the usual port', 'https://acme.api-us1.com:443'],
    ['another path', 'https://acme.api-us1.com/admin'],
    ['a longer path', 'https://acme.api-us1.com/api/3/users/me'],
    ['a path that climbs', 'https://acme.api-us1.com/api/3/../..'],
    ['a bare host with a path', 'acme.api-us1.com/api/3'],
    ['a query', 'https://acme.api-us1.com?x=1'],
    ['a fragment', 'https://acme.api-us1.com#x'],
    ['a foreign host before a fragment', 'https://example.com#.api-us1.com'],
    ['a foreign host before a query', 'https://example.com?.api-us1.com'],
    ['a foreign host before a backslash', 'https://example.com\\.api-us1.com'],
    ['a trailing dot', 'acme.api-us1.com.'],
    ['two dots', 'acme..api-us1.com'],
    ['an underscore', 'ac_me.api-us1.com'],
    ['a hyphen in front', '-acme.api-us1.com'],
    ['a hyphen at the end of a label', 'acme-.api-us1.com'],
    ['a label of 64 characters', `${'a'.repeat(64)}.api-us1.com`],
    ['a name of 255 characters', `${'a.'.repeat(122)}api-us1.com`],
    ['an inner space', 'acme .api-us1.com'],
    ['an inner tab', 'ac\tme.api-us1.com'],
    ['an inner line break', 'acme\n.api-us1.com'],
    ['two lines', 'acme.api-us1.com\nexample.com'],
    ['a NUL', 'acme\u0000.api-us1.com'],
    ['a percent sign', 'acme%2eapi-us1.com'],
    ['an encoded host', 'https://%61cme.api-us1.com'],
    ['full-width letters', '\uff41\uff43\uff4d\uff45.api-us1.com'],
    ['a full-width dot', 'acme\uff0eapi-us1.com'],
    ['an ideographic dot', 'acme\u3002api-us1.com'],
    ['a Kelvin sign, which is k in lower case', 'acme\u212a.api-us1.com'],
    ['a long s, which is S in upper case', 'acme.api-u\u017f1.com'],
    ['a soft hyphen', 'ac\u00adme.api-us1.com'],
    ['a zero-width space', 'acme\u200b.api-us1.com'],
    ['an accent', 'acmé.api-us1.com'],
    ['an IPv4 address', '127.0.0.1'],
    ['an IPv4 address of the cloud', '169.254.169.254'],
    ['an IPv4 address as one number', '2130706433'],
    ['an IPv4 address in hexadecimal', '0x7f000001'],
    ['an IPv4 address in hexadecimal parts', '0x7f.0.0.1'],
    ['an IPv4 address in octal', '0177.0.0.1'],
    ['a short IPv4 address', '127.1'],
    ['an IPv6 address', '::1'],
    ['an IPv6 address in brackets', '[::1]'],
    ['an IPv4 address in IPv6', 'https://[::ffff:127.0.0.1]/'],
    ['localhost', 'localhost'],
    ['a sandbox at another port', '127.0.0.1:4011'],
    ['a sandbox with a scheme', 'http://127.0.0.1:4010'],
    ['a sandbox with a path', '127.0.0.1:4010/api/3'],
  ])('refuses %s', (_, input) => {
    expect(() => parseHost(input, POLICY)).toThrow(BadInputError);
  });

  it('names the field and says what to do', () => {
    const error = refusalOf('https://acme.example.com');
    expect(error.field).toBe('host');
    expect(error.message).toContain('.api-us1.com or .activehosted.com');
    expect(error.remedy).toContain('Settings > Developer');
  });

  it('does not repeat a password that was pasted with the host', () => {
    const { message, remedy } = refusalOf('https://user:hunter2@acme.api-us1.com');
    expect(`${message} ${remedy ?? ''}`).not.toContain('hunter2');
  });

  it('accepts a sandbox only where the settings name one', () => {
    expect(() => parseHost('127.0.0.1:4010', { ...POLICY, sandboxHosts: [] })).toThrow(BadInputError);
  });
});
