import { pathToFileURL } from 'node:url';
import { testsWithDatabase } from './helpers/database-use.js';
import { parseFile, sourceFiles } from './helpers/source-files.js';

interface Lists {
  readonly WITHOUT_DATABASE: readonly string[];
  readonly ON_ANY_DATABASE: readonly string[];
  readonly WITH_ONE_OF_THEIR_OWN: readonly string[];
}

const { WITHOUT_DATABASE, ON_ANY_DATABASE, WITH_ONE_OF_THEIR_OWN } = (await import(
  pathToFileURL('jest.config.js').href
)) as Lists;

const pathOf = (name: string) => `test/${name}.test.ts`;

describe('the tests that run once, and not on each database', () => {
  const files = ['src', 'sandbox', 'scripts', 'test'].flatMap(sourceFiles);
  const tests = files.map(({ path }) => path).filter((path) => path.endsWith('.test.ts'));

  it('have no way to a database, and all that have none are among them', () => {
    const withDatabase = testsWithDatabase(files);
    expect(withDatabase.length).toBeGreaterThan(50);
    expect(tests.filter((path) => !withDatabase.includes(path))).toEqual(WITHOUT_DATABASE.map(pathOf).sort());
  });

  it('or choose their database themselves: those are few, and there', () => {
    expect(WITH_ONE_OF_THEIR_OWN.length).toBeLessThan(10);
    expect(tests).toEqual(expect.arrayContaining(WITH_ONE_OF_THEIR_OWN.map(pathOf)));
  });

  it('or judge what no database has a part in: nothing of runs, segments, imports, people or exports', () => {
    expect(
      ON_ANY_DATABASE.filter((name) =>
        /^(runs?|segment|import|people|export|ledger|refresh|schedule)/.test(name),
      ),
    ).toEqual([]);
    expect(tests).toEqual(expect.arrayContaining(ON_ANY_DATABASE.map(pathOf)));
  });
});

describe('a way to a database', () => {
  it.each([
    ['test/helpers/databases.ts', "import { openIn } from './helpers/databases.js';"],
    ['test/helpers/engine.ts', "import { startEngine } from './helpers/engine.js';"],
    ['sqlite3', "import sqlite3 from 'sqlite3';"],
    ['a program', "import { spawn } from 'node:child_process';"],
  ])('is %s', (_what, text) => {
    const engine = parseFile('test/helpers/engine.ts', "import { startSluice } from './sluice.js';");
    const sluice = parseFile('test/helpers/sluice.ts', "import { removeFolder } from './databases.js';");
    const databases = parseFile('test/helpers/databases.ts', '');
    const hidden = parseFile('test/hidden.test.ts', text);
    const pure = parseFile('test/pure.test.ts', "import { mapping } from '../src/exports/mapping.js';");
    expect(testsWithDatabase([engine, sluice, databases, hidden, pure])).toEqual(['test/hidden.test.ts']);
  });
});
