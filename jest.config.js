/** Tests are ES modules compiled by the same swc settings as the build (.swcrc). */
const shared = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': '@swc/jest' },
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  setupFiles: ['<rootDir>/test/helpers/errors-of-all-realms.js'],
};

/** Files whose tests touch no database, or one of their own choice: they run once. */
const WITHOUT_DATABASE = ['bench'];

export default {
  projects: [
    { ...shared, displayName: 'sqlite', testMatch: ['**/*.test.ts'], globals: { SLUICE_DATABASE: 'sqlite' } },
    {
      ...shared,
      displayName: 'postgres',
      testMatch: ['**/*.test.ts'],
      testPathIgnorePatterns: WITHOUT_DATABASE.map((name) => `/test/${name}\\.test\\.ts$`),
      globals: { SLUICE_DATABASE: 'postgres' },
    },
  ],
  globalSetup: '<rootDir>/test/helpers/postgres-setup.js',
  globalTeardown: '<rootDir>/test/helpers/postgres-teardown.js',
  testTimeout: 30_000,
  maxWorkers: 2,
  reporters: ['default', '<rootDir>/test/helpers/plain-line-reporter.js'],
};
