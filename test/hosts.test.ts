import { BadInputError } from '../src/errors.js';
import { parseHost } from '../src/security/hosts.js';
import { EVIL_HOSTS } from './helpers/evil-hosts.js';

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
    ['  acme.api-us1.com  ', 'acme.api-us1.com'],
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

  it.each(EVIL_HOSTS)('refuses %s', (_, input) => {
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
