/** Every setting of the server: read, checked and given its default here, and nowhere else. */
export interface Config {
  readonly host: string;
  readonly port: number;
  /** Path of the SQLite file. */
  readonly databaseFile: string;
  /** Folder of the database, the secret key and the administrator's token. */
  readonly dataFolder: string;
  /** Base64 keys from the environment; undefined: the one made at the first start. */
  readonly secretKeys: readonly string[] | undefined;
  readonly adminToken: string | undefined;
  readonly destinationSuffixes: readonly string[];
  /** `host:port` of sandboxes that may be used as destinations although private, over plain http. */
  readonly sandboxHosts: readonly string[];
  /** How many times faster quota windows, polls and back-offs pass at sandbox hosts. */
  readonly sandboxTimeScale: number;
  readonly runDeadlineMinutes: number;
  /** How often one trigger may be called. */
  readonly triggerCallsPerMinute: number;
  readonly logLevel: string;
  readonly production: boolean;
}

/** A setting that cannot be used; the message names it and says what is expected. */
export class ConfigError extends Error {
  constructor(variable: string, expected: string) {
    super(`The setting ${variable} cannot be used: ${expected}.`);
    this.name = 'ConfigError';
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];
const SECRET_KEY_BYTES = 32;

/**
 * Reads the settings from environment variables.
 * @throws {ConfigError} that names the first setting that is wrong.
 */
export function readConfig(env: Environment = process.env): Config {
  const production = env.NODE_ENV === 'production';
  const databaseFile = readDatabaseFile(env.DATABASE_URL ?? 'sqlite:./data/sluice.db');
  const config: Config = {
    host: env.HOST ?? '127.0.0.1',
    port: readNumber(env, 'PORT', 4000, { min: 0, max: 65_535, whole: true }),
    databaseFile,
    dataFolder: databaseFile.replace(/[^/\\]*$/, '') || './',
    secretKeys: readSecretKeys(env.SLUICE_SECRET_KEY),
    adminToken: readAdminToken(env.SLUICE_ADMIN_TOKEN),
    destinationSuffixes: readList(env.SLUICE_DESTINATION_SUFFIXES ?? 'api-us1.com,activehosted.com'),
    sandboxHosts: readList(env.SLUICE_SANDBOX_HOSTS),
    sandboxTimeScale: readNumber(env, 'SLUICE_SANDBOX_TIME_SCALE', 1, { min: 1, max: 1_000_000 }),
    runDeadlineMinutes: readNumber(env, 'SLUICE_RUN_DEADLINE_MINUTES', 90, { min: 1, max: 1_440 }),
    triggerCallsPerMinute: readNumber(env, 'SLUICE_TRIGGER_CALLS_PER_MINUTE', 6_000, {
      min: 1,
      max: 1_000_000,
      whole: true,
    }),
    logLevel: env.LOG_LEVEL ?? 'info',
    production,
  };
  if (!LOG_LEVELS.includes(config.logLevel)) {
    throw new ConfigError('LOG_LEVEL', `expected one of ${LOG_LEVELS.join(', ')}`);
  }
  if (config.sandboxHosts.some((host) => !/^[^\s/:]+:\d+$/.test(host))) {
    throw new ConfigError('SLUICE_SANDBOX_HOSTS', 'expected host:port pairs, separated by commas');
  }
  if (production) refuseInProduction(env);
  return config;
}

/** The settings as they may be printed at the start: secrets are only named. */
export function describeConfig(config: Config): Record<string, unknown> {
  return {
    ...config,
    secretKeys:
      config.secretKeys === undefined ? 'from the data folder' : `${config.secretKeys.length} given`,
    adminToken: config.adminToken === undefined ? undefined : '***',
  };
}

function refuseInProduction(env: Environment): void {
  for (const variable of ['SLUICE_SANDBOX_HOSTS', 'SLUICE_SANDBOX_TIME_SCALE']) {
    if (env[variable])
      throw new ConfigError(variable, 'it is for tests and demos, not for NODE_ENV=production');
  }
  if (!env.SLUICE_SECRET_KEY) {
    throw new ConfigError('SLUICE_SECRET_KEY', 'in production it must be given (32 random bytes, base64)');
  }
}

function readDatabaseFile(url: string): string {
  const file = /^sqlite:(.+)$/.exec(url)?.[1];
  if (file === undefined || file.startsWith(':memory:')) {
    throw new ConfigError(
      'DATABASE_URL',
      'expected sqlite: and the path of a file, like sqlite:./data/sluice.db',
    );
  }
  return file;
}

function readSecretKeys(value: string | undefined): string[] | undefined {
  if (value === undefined || value === '') return undefined;
  const keys = readList(value);
  for (const key of keys) {
    if (Buffer.from(key, 'base64').length !== SECRET_KEY_BYTES) {
      throw new ConfigError('SLUICE_SECRET_KEY', `each key must be ${SECRET_KEY_BYTES} bytes in base64`);
    }
  }
  return keys;
}

function readAdminToken(value: string | undefined): string | undefined {
  if (value === undefined || value === '') return undefined;
  if (value.length < 20 || /\s/.test(value)) {
    throw new ConfigError('SLUICE_ADMIN_TOKEN', 'expected at least 20 characters without spaces');
  }
  return value;
}

function readList(value: string | undefined): string[] {
  return (value ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function readNumber(
  env: Environment,
  variable: string,
  fallback: number,
  bounds: { min: number; max: number; whole?: boolean },
): number {
  const value = env[variable];
  if (value === undefined || value === '') return fallback;
  const number = Number(value);
  const fits = number >= bounds.min && number <= bounds.max && (!bounds.whole || Number.isInteger(number));
  if (!fits) throw new ConfigError(variable, `expected a number from ${bounds.min} to ${bounds.max}`);
  return number;
}
