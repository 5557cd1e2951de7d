/** Tests are ES modules compiled by the same swc settings as the build (.swcrc). */
const shared = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': '@swc/jest' },
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  setupFiles: ['<rootDir>/test/helpers/errors-of-all-realms.js'],
};

/** Tests that have no way to a database: they run once. test/once.test.ts sees to it that they are these, and all of them. */
export const WITHOUT_DATABASE = [
  'address-holds',
  'architecture',
  'caller-turns',
  'circuit-breaker',
  'clock-changes',
  ...[
    'account',
    'addresses',
    'check',
    'contacts',
    'emails',
    'http',
    'importer',
    'limits',
    'lists',
    'outcome',
  ].map((what) => `destination-${what}`),
  'destination-unsubscribe',
  'differences',
  'docs',
  'door-loader',
  'due-times',
  'email-address',
  'gather',
  'hosts',
  'mapping',
  'once',
  'one-beside',
  'plain-line',
  'punctual-questions',
  'removal-windows',
  ...['api', 'command-line', 'control', 'faults', 'importer', 'processing', 'quota'].map(
    (what) => `sandbox-${what}`,
  ),
  'schema',
  'secret-box',
  'spill',
  'tokens',
  'turns',
];

/**
 * Tests of what is refused, timed, paced, let in or told whatever is stored: a database has no part in what they judge, so they
 * run on one. Who may do what is one table, and how a program starts and is packed is the same with any DATABASE_URL; a Postgres
 * has its own tests of both (replicas, image, queue-replicas).
 */
export const ON_ANY_DATABASE = [
  ...[
    'crowds',
    'guards',
    'hosts',
    'http',
    'process',
    'rates',
    'requests',
    'slow',
    'sockets',
    'websocket',
  ].map((what) => `door-${what}`),
  'hostile-destinations',
  'long-inputs',
  'oidc',
  'pace',
  'pace-recovery',
  'permissions',
  'request-ids',
  // It starts the program as the README says, which is on a file.
  'tutorial',
];

/** Tests that run once because they choose their database themselves. */
export const WITH_ONE_OF_THEIR_OWN = [
  // Say with --database on which they measure.
  'bench',
  // A SQLite file of its own, whatever else there is.
  'demo',
  // The part of the SQLite database that shares commits.
  'group-commit',
  // From one to the other.
  'move',
  // A Postgres that may crash.
  'postgres-crash',
  // The Postgres that the tests themselves get.
  'postgres',
  // The wire, which only Postgres has.
  'wire',
  // Both queues, each on what it needs.
  'queue',
  'queue-replicas',
];

const ONCE = [...WITHOUT_DATABASE, ...ON_ANY_DATABASE, ...WITH_ONE_OF_THEIR_OWN];

export default {
  projects: [
    { ...shared, displayName: 'sqlite', testMatch: ['**/*.test.ts'], globals: { SLUICE_DATABASE: 'sqlite' } },
    {
      ...shared,
      displayName: 'postgres',
      testMatch: ['**/*.test.ts'],
      testPathIgnorePatterns: ONCE.map((name) => `/test/${name}\\.test\\.ts$`),
      globals: { SLUICE_DATABASE: 'postgres' },
    },
  ],
  globalSetup: '<rootDir>/test/helpers/postgres-setup.js',
  globalTeardown: '<rootDir>/test/helpers/postgres-teardown.js',
  // It ends what hangs, and is no measure: a machine with other work takes several times as long as an idle one.
  testTimeout: 120_000,
  // More than cores: many tests wait for time to pass, or for programs that they have started.
  maxWorkers: 3,
  reporters: ['default', '<rootDir>/test/helpers/plain-line-reporter.js'],
};
