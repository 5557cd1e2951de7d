import {
  barrels,
  clockReaders,
  defaultExports,
  environmentReaders,
  forbiddenImports,
  importCycles,
  longFiles,
  silencedRules,
  uncheckedTypes,
} from './helpers/house-rules.js';
import { parseFile, sourceFiles } from './helpers/source-files.js';

const house = [...sourceFiles('src'), ...sourceFiles('sandbox'), ...sourceFiles('scripts')];
const everything = [...house, ...sourceFiles('test')];

describe('the house', () => {
  it('is found, with its imports', () => {
    expect(house.length).toBeGreaterThan(50);
    expect(
      house.flatMap(({ imports }) => imports).filter((path) => !house.some((file) => file.path === path)),
    ).toEqual([]);
  });

  it('imports in one direction', () => {
    expect(forbiddenImports(house)).toEqual([]);
  });

  it('has no circles', () => {
    expect(importCycles(house)).toEqual([]);
  });

  it('has no barrel files', () => {
    expect(barrels(everything)).toEqual([]);
  });

  it('has files of 300 lines at most', () => {
    expect(longFiles(house)).toEqual([]);
  });

  it('reads the environment in one place', () => {
    expect(environmentReaders(house)).toEqual([]);
  });

  it('reads the clocks of the machine in one place', () => {
    expect(clockReaders(house)).toEqual([]);
  });

  it('exports by name', () => {
    expect(defaultExports(everything)).toEqual([]);
  });

  it('checks every type', () => {
    expect(uncheckedTypes(everything)).toEqual([]);
  });

  it('switches no lint rule off without a reason', () => {
    // This one shows what such a line looks like.
    const others = everything.filter(({ path }) => path !== 'test/architecture.test.ts');
    expect(silencedRules(others)).toEqual([]);
  });
});

describe('the rules of the house', () => {
  const file = (path: string, text = '') => parseFile(path, text);

  it.each([
    ['src/entities/user.ts', "import { x } from '../people/users.js';"],
    ['src/destinations/http.ts', "import type { User } from '../entities/user.js';"],
    ['src/profiles/import.ts', "import '../exports/runs.js';"],
    ['src/exports/runs.ts', "export { x } from '../jobs/queue.js';"],
    ['src/people/users.ts', "const x = await import('../schema/context.js');"],
    ['src/errors.ts', "import { User } from './entities/user.js';"],
    ['sandbox/sandbox.ts', "import { x } from '../src/clock.js';"],
    ['scripts/demo.ts', "import { x } from '../src/config.js';"],
    ['scripts/demo.ts', "import { x } from '../sandbox/account.js';"],
    ['src/attic/old.ts', ''],
  ])('forbid that %s holds: %s', (path, text) => {
    expect(forbiddenImports([file(path, text)])).toHaveLength(1);
  });

  it.each([
    ['src/exports/runs.ts', "import { x } from '../connections/consent.js';"],
    ['src/server/server.ts', "import { x } from '../resolvers/resolvers.js';"],
    ['scripts/demo.ts', "import { startSandbox } from '../sandbox/sandbox.js';"],
    ['sandbox/sandbox.ts', "import { x } from './routes/lists.js';"],
  ])('allow that %s holds: %s', (path, text) => {
    expect(forbiddenImports([file(path, text)])).toEqual([]);
  });

  it('see a circle', () => {
    const files = [
      file('src/a.ts', "import './b.js';"),
      file('src/b.ts', "import './c.js';"),
      file('src/c.ts', "import './b.js';"),
    ];
    expect(importCycles(files)).toEqual(['src/b.ts → src/c.ts → src/b.ts']);
  });

  it('see a barrel, by its name or by what it does', () => {
    const files = [
      file('src/a/index.ts'),
      file('src/b.ts', "export * from './c.js';"),
      file('src/d.ts', 'export {};'),
    ];
    expect(barrels(files)).toEqual(['src/a/index.ts', 'src/b.ts']);
  });

  it('see a file of 301 lines', () => {
    const files = [file('src/long.ts', '\n'.repeat(301)), file('src/short.ts', '\n'.repeat(300))];
    expect(longFiles(files)).toEqual(['src/long.ts: 301 lines']);
  });

  it('see who reads the environment', () => {
    const text = 'const home = process.env.HOME;';
    expect(environmentReaders([file('src/config.ts', text), file('src/clock.ts', text)])).toEqual([
      'src/clock.ts:1',
    ]);
  });

  it.each([
    'Date.now();',
    'new Date();',
    'performance.now();',
    'process.hrtime.bigint();',
    'const seconds = process.uptime();',
  ])('see who reads a clock of the machine in: %s', (text) => {
    const files = ['src/ids.ts', 'src/clock.ts', 'test/a.ts'].map((path) => file(path, text));
    expect(clockReaders(files)).toEqual(['src/ids.ts:1']);
  });

  it('see none where a moment is made of a number', () => {
    expect(clockReaders([file('src/a.ts', 'new Date(clock.now());')])).toEqual([]);
  });

  it('see a default export', () => {
    expect(defaultExports([file('src/a.ts', 'export default class A {}')])).toEqual(['src/a.ts:1']);
  });

  it.each([
    'let x: any;',
    'f(x as any);',
    'new Map<any, string>();',
    'let x: string | any;',
    'const x: any[] = [];',
  ])('see an unchecked type in: %s', (text) => {
    expect(uncheckedTypes([file('src/a.ts', text)])).toEqual(['src/a.ts:1']);
  });

  it.each(['// Asks any of them.', "const text = 'by any name';", "'as any other'"])(
    'see none in: %s',
    (text) => {
      expect(uncheckedTypes([file('src/a.ts', text)])).toEqual([]);
    },
  );

  it.each(['/* eslint-disable */', '// eslint-disable-next-line no-console', '// @ts-ignore'])(
    'see a rule switched off without a reason in: %s',
    (text) => {
      expect(silencedRules([file('src/a.ts', text)])).toHaveLength(1);
    },
  );

  it('let a rule be switched off with a reason', () => {
    const text = '// eslint-disable-next-line no-console -- the demo speaks to a person';
    expect(silencedRules([file('src/a.ts', text)])).toEqual([]);
  });
});
