import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecretBox, SealedTextError } from '../src/security/secret-box.js';
import { loadSecretKeys } from '../src/security/secret-keys.js';

const newKey = () => randomBytes(32).toString('base64');
const PLACE = { table: 'connections', row: 'c1', column: 'sealedApiKey' };

describe('the secret box', () => {
  it.each(['an API key', '', 'ключ 🗝️', 'x'.repeat(10_000)])('opens what it sealed (%#)', (plain) => {
    const box = createSecretBox([newKey()]);
    expect(box.open(box.seal(plain, PLACE), PLACE)).toBe(plain);
  });

  it('never seals the same text twice to the same', () => {
    const box = createSecretBox([newKey()]);
    const sealed = new Set(Array.from({ length: 1_000 }, () => box.seal('same', PLACE)));
    expect(sealed.size).toBe(1_000);
  });

  it('shows neither the text nor the key, but says which key sealed', () => {
    const key = newKey();
    const sealed = createSecretBox([key]).seal('an API key', PLACE);
    expect(sealed).not.toContain('API');
    expect(sealed).not.toContain(key.slice(0, 12));
    const keyId = createHash('sha256').update(Buffer.from(key, 'base64')).digest('hex').slice(0, 8);
    expect(sealed.split('.').slice(0, 2)).toEqual(['v1', keyId]);
  });

  it.each([
    ['table', { ...PLACE, table: 'triggers' }],
    ['row', { ...PLACE, row: 'c2' }],
    ['column', { ...PLACE, column: 'other' }],
    ['border between row and column', { ...PLACE, row: 'c1sealed', column: 'ApiKey' }],
  ])('opens nothing that was moved to another %s', (_what, elsewhere) => {
    const box = createSecretBox([newKey()]);
    const sealed = box.seal('an API key', PLACE);
    expect(() => box.open(sealed, elsewhere)).toThrow(SealedTextError);
  });

  it('refuses a sealed text in which any single bit was changed', () => {
    const box = createSecretBox([newKey()]);
    const sealed = Buffer.from(box.seal('k', PLACE));
    const opened: string[] = [];
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const changed = Buffer.from(sealed);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      try {
        opened.push(`bit ${bit}: ${box.open(changed.toString('latin1'), PLACE)}`);
      } catch (error: unknown) {
        expect(error).toBeInstanceOf(SealedTextError);
      }
    }
    expect(opened).toEqual([]);
  });

  it('refuses a shortened tag, which the cipher alone would let through', () => {
    const box = createSecretBox([newKey()]);
    const [version, id, iv, body] = box.seal('an API key', PLACE).split('.');
    const bytes = Buffer.from(body ?? '', 'base64url');
    for (let cut = 1; cut <= bytes.length; cut += 1) {
      const shortened = bytes.subarray(0, -cut).toString('base64url');
      expect(() => box.open([version, id, iv, shortened].join('.'), PLACE)).toThrow(SealedTextError);
    }
  });

  it.each(['', 'v1', 'plain text', 'v1.00000000.AAAAAAAAAAAAAAAA.'])(
    'takes %j for no sealed text',
    (text) => {
      expect(() => createSecretBox([newKey()]).open(text, PLACE)).toThrow('This is no sealed text.');
    },
  );

  it('seals with the first key and opens with each of them', () => {
    const [oldKey, newerKey] = [newKey(), newKey()];
    const sealedBefore = createSecretBox([oldKey]).seal('before', PLACE);
    const rotated = createSecretBox([newerKey, oldKey]);
    expect(rotated.open(sealedBefore, PLACE)).toBe('before');
    const sealedAfter = rotated.seal('after', PLACE);
    expect(createSecretBox([newerKey]).open(sealedAfter, PLACE)).toBe('after');
  });

  it('names the key that is missing', () => {
    const sealed = createSecretBox([newKey()]).seal('an API key', PLACE);
    const missing = sealed.split('.')[1] ?? 'no id';
    expect(() => createSecretBox([newKey()]).open(sealed, PLACE)).toThrow(missing);
  });

  it('is not made without a key', () => {
    expect(() => createSecretBox([])).toThrow('at least one key');
  });
});

describe('the secret key in the data folder', () => {
  let folder: string;
  const load = () => loadSecretKeys({ secretKeys: undefined, dataFolder: folder });
  const file = () => join(folder, 'secret.key');
  const modeOf = (path: string) => statSync(path).mode & 0o777;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-keys-'));
  });

  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it('is made at the first start, for its owner alone, and found at the second', () => {
    const made = load();
    expect(made.map((key) => Buffer.from(key, 'base64').length)).toEqual([32]);
    expect(modeOf(file())).toBe(0o600);
    expect(load()).toEqual(made);
    expect(readdirSync(folder)).toEqual(['secret.key']);
  });

  it('is made in a folder that does not exist yet', () => {
    const deep = join(folder, 'a', 'b');
    const keys = loadSecretKeys({ secretKeys: undefined, dataFolder: deep });
    expect(readFileSync(join(deep, 'secret.key'), 'utf8').trim()).toBe(keys[0]);
  });

  it('gives way to the keys of the setting', () => {
    const given = [newKey(), newKey()];
    expect(loadSecretKeys({ secretKeys: given, dataFolder: folder })).toBe(given);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is closed to other users when it was open to them', () => {
    const key = newKey();
    writeFileSync(file(), key);
    chmodSync(file(), 0o644);
    expect(load()).toEqual([key]);
    expect(modeOf(file())).toBe(0o600);
  });

  it.each(['', 'too short', randomBytes(31).toString('base64')])(
    'is refused when damaged (%#)',
    (content) => {
      writeFileSync(file(), content, { mode: 0o600 });
      expect(load).toThrow(`The file ${file()} is damaged`);
      expect(readFileSync(file(), 'utf8')).toBe(content);
    },
  );
});
