/** Closes a test run with the one plain line that CI reads: `Tests: N passed, N failed`. */
export default class PlainLineReporter {
  onRunComplete(_contexts, results) {
    const unrun = results.testResults.filter((file) => file.testExecError).length;
    const skipped = results.numPendingTests + results.numTodoTests;
    const line = `Tests: ${results.numPassedTests} passed, ${results.numFailedTests + unrun} failed`;
    // At the very end: jest's own summary comes after all reporters.
    process.once('exit', () =>
      process.stdout.write(`\n${line}${skipped > 0 ? `, ${skipped} skipped` : ''}\n`),
    );
  }
}
