import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { DOOR_LIMITS } from '../src/server/limits.js';
import { sourceFiles } from './helpers/source-files.js';

const read = (path: string) => readFileSync(path, 'utf8');
const DOCUMENTS = [
  ...['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md'],
  ...readdirSync('docs', { recursive: true, encoding: 'utf8' })
    .map((name) => posix.join('docs', name.replaceAll('\\', '/')))
    .filter((path) => path.endsWith('.md')),
];

/** What the first group of the pattern finds, each once. */
function found(pattern: RegExp, text: string): string[] {
  return [...new Set([...text.matchAll(pattern)].map(([, group]) => group ?? ''))];
}

describe('the documents', () => {
  const source = sourceFiles('src')
    .map(({ text }) => text)
    .join('\n');

  it('name every setting in the README', () => {
    const settings = found(/(?:env\.|readNumber\(env, ')([A-Z_]+)/g, read('src/config.ts'));
    expect(settings.length).toBeGreaterThan(10);
    expect(settings.filter((setting) => !read('README.md').includes(`| \`${setting}\` |`))).toEqual([]);
  });

  it('name every code of an error in the README', () => {
    const union = /type ErrorCode =([^;]+);/.exec(read('src/errors.ts'))?.[1] ?? '';
    const codes = found(/'([A-Z_]+)'/g, union);
    expect(codes.length).toBeGreaterThan(5);
    expect(codes.filter((code) => !read('README.md').includes(`| \`${code}\` |`))).toEqual([]);
  });

  it('tell what happens with every problem that a run or a connection can have', () => {
    const codes = found(/(?:\bcode: |new FixCredentialsError\(\s*)'([A-Z_]+)'/g, source);
    expect(codes.length).toBeGreaterThan(15);
    expect(codes.filter((code) => !read('docs/what-happens-when.md').includes(`\`${code}\``))).toEqual([]);
  });

  it('promise every limit of the doors with its figure, and name tests that exist', () => {
    const security = read('SECURITY.md');
    for (const [limit, figure] of Object.entries<number>({ ...DOOR_LIMITS })) {
      const line = security.split('\n').find((row) => row.split('|')[1]?.includes(`\`${limit}\``)) ?? '';
      expect([limit, line]).toEqual([limit, expect.stringContaining(figure.toLocaleString('en')) as string]);
    }
    const promises = security.slice(security.indexOf('## What is promised'));
    const tests = [...promises.matchAll(/(?:\| |\. )((?:`[a-z-]+`(?:, )?)+)(?: \|)?$/gm)].flatMap(
      ([, names]) => found(/`([a-z-]+)`/g, names ?? ''),
    );
    expect(tests.length).toBeGreaterThan(30);
    expect(tests.filter((name) => !existsSync(`test/${name}.test.ts`))).toEqual([]);
  });

  it('list every decision', () => {
    const decisions = readdirSync('docs/adr').filter((name) => name !== 'README.md');
    expect(decisions.filter((name) => !read('docs/adr/README.md').includes(`](${name})`))).toEqual([]);
  });

  it('are mentioned in comments only where they exist', () => {
    const numbers = found(/docs\/adr\/(\d{3})/g, source);
    const known = readdirSync('docs/adr').map((name) => name.slice(0, 3));
    expect(numbers).not.toEqual([]);
    expect(numbers.filter((number) => !known.includes(number))).toEqual([]);
  });

  it('lead somewhere with every link', () => {
    const links = DOCUMENTS.flatMap((path) =>
      found(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g, read(path)).map((target) => ({
        path,
        target: posix.join(posix.dirname(path), target),
      })),
    );
    expect(links.length).toBeGreaterThan(30);
    expect(links.filter(({ target }) => !existsSync(target))).toEqual([]);
  });
});
