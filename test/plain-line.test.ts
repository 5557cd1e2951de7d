import { pathToFileURL } from 'node:url';

/** The part of jest's results that counts. */
interface Results {
  readonly testResults: readonly { readonly testExecError?: object }[];
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
}

const { plainLine } = (await import(pathToFileURL('test/helpers/plain-line-reporter.js').href)) as {
  plainLine: (results: Results) => string;
};

const NOTHING = {
  testResults: [],
  numPassedTests: 0,
  numFailedTests: 0,
  numPendingTests: 0,
  numTodoTests: 0,
};

describe('the line that closes a test run', () => {
  it.each<[string, Partial<Results>, string]>([
    ['nothing', {}, 'Tests: 0 passed, 0 failed'],
    ['passes and failures', { numPassedTests: 12, numFailedTests: 3 }, 'Tests: 12 passed, 3 failed'],
    [
      'skipped tests, which it leaves to jest',
      { numPassedTests: 12, numPendingTests: 4, numTodoTests: 1 },
      'Tests: 12 passed, 0 failed',
    ],
    [
      'a file that could not run, as a failure',
      { testResults: [{}, { testExecError: {} }], numPassedTests: 1 },
      'Tests: 1 passed, 1 failed',
    ],
  ])('counts %s', (_what, results, line) => {
    expect(plainLine({ ...NOTHING, ...results })).toBe(line);
  });
});
