import { setTimeout } from 'node:timers';

/** Whatever tests leave behind has ended within this. */
const PATIENCE_MS = 20_000;

/**
 * Closes a test run with the one plain line that CI reads: `Tests: N passed, N failed`. A program that a test has left
 * running would keep jest, and with it CI, for ever: it is told of, and not waited for.
 */
export default class PlainLineReporter {
  onRunComplete(_contexts, results) {
    setTimeout(() => {
      process.stdout.write('\nA test has left a program, a server or a timer running. Look for it.\n');
      process.exit();
    }, PATIENCE_MS).unref();
    // At the very end: jest's own summary comes after all reporters.
    process.once('exit', () => process.stdout.write(`\n${plainLine(results)}\n`));
  }
}

/**
 * What a run comes to: a file that could not run counts as a failure; skipped tests, which jest's own summary counts, are
 * neither.
 */
export function plainLine({ testResults, numPassedTests, numFailedTests }) {
  const unrun = testResults.filter((file) => file.testExecError).length;
  return `Tests: ${numPassedTests} passed, ${numFailedTests + unrun} failed`;
}
