/** Tests are ES modules compiled by the same swc settings as the build (.swcrc). */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': '@swc/jest' },
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  globalSetup: '<rootDir>/test/helpers/postgres-setup.js',
  globalTeardown: '<rootDir>/test/helpers/postgres-teardown.js',
  setupFiles: ['<rootDir>/test/helpers/errors-of-all-realms.js'],
  testTimeout: 30_000,
  maxWorkers: 2,
  reporters: ['default', '<rootDir>/test/helpers/plain-line-reporter.js'],
};
