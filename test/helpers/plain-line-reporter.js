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
    const unrun = results.testResults.filter((file) => file.testExecError).length;
    const skipped = results.numPendingTests + results.numTodoTests;
    const line = `Tests: ${results.numPassedTests} passed, ${results.numFailedTests + unrun} failed`;
    // At the very end: jest's own summary comes after all reporters.
    process.once('exit', () =>
      process.stdout.write(`\n${line}${skipped > 0 ? `, ${skipped} skipped` : ''}\n`),
    );
  }
}
