import { isIP } from 'node:net';
import type { DatabaseAddress } from './database.js';

/** Every setting of the server: read, checked and given its default here, and nowhere else. */
export interface Config {
  readonly host: string;
  readonly port: number;
  readonly database: DatabaseAddress;
  /** What this process does: serve callers and work exports, or one of both. */
  readonly process: ProcessRole;
  /** Folder of the SQLite file, the secret key and the administrator's token; large work spills over there. */
  readonly dataFolder: string;
  /** Base64 keys from the environment; undefined: the one made at the first start. */
  readonly secretKeys: readonly string[] | undefined;
  readonly adminToken: string | undefined;
  /** Who shows it may read the metrics; undefined: nobody. */
  readonly metricsToken: string | undefined;
  readonly destinationSuffixes: readonly string[];
  /** `host:port` of sandboxes that may be used as destinations although private, over plain http. */
  readonly sandboxHosts: readonly string[];
  /** How many times faster quota windows, polls and back-offs pass at sandbox hosts. */
  readonly sandboxTimeScale: number;
  readonly runDeadlineMinutes: number;
  /** How long a consent to an earlier version of the statement goes on. */
  readonly consentGraceDays: number;
  readonly auditRetentionDays: number;
  /** How long it is remembered whom Sluice took off a list. */
  readonly removalRetentionDays: number;
  /** Who vouches for people with JWTs; undefined: nobody. */
  readonly issuer: IssuerConfig | undefined;
  /** How often one trigger may be called. */
  readonly triggerCallsPerMinute: number;
  readonly logLevel: string;
  readonly production: boolean;
  /** Whether the schema may be asked for. */
  readonly introspection: boolean;
  /** Origins, like `https://app.example.com`, whose pages may call the server from a browser. */
  readonly corsOrigins: readonly string[];
  /** Addresses and networks of reverse proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly string[];
  /** How many requests a minute are let through. */
  readonly rates: {
    readonly perPrincipal: number;
    readonly perAddress: number;
    /** Sign-ins that fail, from one address. */
    readonly failedSignIns: number;
  };
}

/** api: the doors; worker: runs, schedules, refreshes and watches; all: both. */
export type ProcessRole = (typeof PROCESS_ROLES)[number];

/** An OpenID Connect issuer, and what its claim about roles means. */
export interface IssuerConfig {
  /** As in its tokens' `iss`. */
  readonly url: string;
  /** As in its tokens' `aud`. */
  readonly audience: string;
  readonly roleClaim: string;
  /** A value of that claim, and the role that it gives. */
  readonly roles: readonly (readonly [value: string, role: RoleName])[];
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
const PROCESS_ROLES = ['all', 'api', 'worker'] as const;
/** Names that proxy-addr has for the networks of the machine itself, of a link, and of private use. */
const PROXY_NAMES = ['loopback', 'linklocal', 'uniquelocal'];

/**
 * Reads the settings from environment variables.
 * @throws {ConfigError} that names the first setting that is wrong.
 */
export function readConfig(env: Environment = process.env): Config {
  const production = env.NODE_ENV === 'production';
  const database = readDatabaseAddress(env.DATABASE_URL ?? 'sqlite:./data/sluice.db');
  const config: Config = {
    host: env.HOST ?? '127.0.0.1',
    port: readNumber(env, 'PORT', 4000, { min: 0, max: 65_535, whole: true }),
    database,
    process: readProcessRole(env, database),
    dataFolder: env.SLUICE_DATA_FOLDER ?? (database.kind === 'sqlite' ? folderOf(database.file) : './data/'),
    secretKeys: readSecretKeys(env.SLUICE_SECRET_KEY),
    adminToken: readToken('SLUICE_ADMIN_TOKEN', env.SLUICE_ADMIN_TOKEN),
    metricsToken: readToken('SLUICE_METRICS_TOKEN', env.SLUICE_METRICS_TOKEN),
    destinationSuffixes: readList(env.SLUICE_DESTINATION_SUFFIXES ?? 'api-us1.com,activehosted.com'),
    sandboxHosts: readList(env.SLUICE_SANDBOX_HOSTS),
    sandboxTimeScale: readNumber(env, 'SLUICE_SANDBOX_TIME_SCALE', 1, { min: 1, max: 1_000_000 }),
    runDeadlineMinutes: readNumber(env, 'SLUICE_RUN_DEADLINE_MINUTES', 90, { min: 1, max: 1_440 }),
    consentGraceDays: readNumber(env, 'SLUICE_CONSENT_GRACE_DAYS', 30, { min: 0, max: 365, whole: true }),
    auditRetentionDays: readWhole(env, 'AUDIT_RETENTION_DAYS', 400, 36_500),
    removalRetentionDays: readWhole(env, 'SLUICE_REMOVAL_RETENTION_DAYS', 1_095, 36_500),
    issuer: readIssuer(env, production),
    triggerCallsPerMinute: readWhole(env, 'SLUICE_TRIGGER_CALLS_PER_MINUTE', 6_000, 1_000_000),
    logLevel: env.LOG_LEVEL ?? 'info',
    production,
    introspection: readSwitch(env, 'SLUICE_INTROSPECTION', !production),
    corsOrigins: readList(env.SLUICE_CORS_ORIGINS),
    trustedProxies: readList(env.SLUICE_TRUSTED_PROXIES),
    rates: {
      perPrincipal: readRate(env, 'SLUICE_RATE_PER_USER', 24_000),
      perAddress: readRate(env, 'SLUICE_RATE_PER_ADDRESS', 48_000),
      failedSignIns: readRate(env, 'SLUICE_RATE_FAILED_SIGN_INS', 20),
    },
  };
  if (!LOG_LEVELS.includes(config.logLevel)) {
    throw new ConfigError('LOG_LEVEL', `expected one of ${LOG_LEVELS.join(', ')}`);
  }
  if (config.sandboxHosts.some((host) => !/^[^\s/:]+:\d+$/.test(host))) {
    throw new ConfigError('SLUICE_SANDBOX_HOSTS', 'expected host:port pairs, separated by commas');
  }
  if (config.corsOrigins.some((origin) => !isOrigin(origin))) {
    throw new ConfigError(
      'SLUICE_CORS_ORIGINS',
      'expected origins like https://app.example.com, without a path',
    );
  }
  if (config.trustedProxies.some((proxy) => !isProxy(proxy))) {
    throw new ConfigError(
      'SLUICE_TRUSTED_PROXIES',
      `expected addresses, networks like 10.0.0.0/8, or ${PROXY_NAMES.join(', ')}`,
    );
  }
  if (production) refuseInProduction(env);
  return config;
}

/** The settings as they may be printed at the start: secrets are only named. */
export function describeConfig(config: Config): Record<string, unknown> {
  return {
    ...config,
    database: describeAddress(config.database),
    secretKeys:
      config.secretKeys === undefined ? 'from the data folder' : `${config.secretKeys.length} given`,
    adminToken: config.adminToken === undefined ? undefined : '***',
    metricsToken: config.metricsToken === undefined ? undefined : '***',
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

/**
 * Reads what a DATABASE_URL says.
 * @throws {ConfigError} if it is neither a SQLite file nor a Postgres.
 */
export function readDatabaseAddress(url: string): DatabaseAddress {
  if (/^postgres(ql)?:\/\/./.test(url) && URL.canParse(url)) return { kind: 'postgres', url };
  const file = /^sqlite:(.+)$/.exec(url)?.[1];
  if (file === undefined || file.startsWith(':memory:')) {
    throw new ConfigError(
      'DATABASE_URL',
      'expected sqlite: and the path of a file, like sqlite:./data/sluice.db, or postgres://user:password@host/database',
    );
  }
  return { kind: 'sqlite', file };
}

/** The address as it may be shown: the password of a Postgres is nobody's business. */
export function describeAddress(address: DatabaseAddress): string {
  if (address.kind === 'sqlite') return `sqlite:${address.file}`;
  const url = new URL(address.url);
  if (url.password !== '') url.password = '***';
  if (url.searchParams.has('password')) url.searchParams.set('password', '***');
  return url.href;
}

function folderOf(file: string): string {
  return file.slice(0, Math.max(file.lastIndexOf('/'), file.lastIndexOf('\\')) + 1) || './';
}

function readProcessRole(env: Environment, database: DatabaseAddress): ProcessRole {
  const given = env.SLUICE_PROCESS ?? 'all';
  const role = PROCESS_ROLES.find((known) => known === given);
  if (role === undefined) {
    throw new ConfigError('SLUICE_PROCESS', `expected one of ${PROCESS_ROLES.join(', ')}`);
  }
  if (role !== 'all' && database.kind === 'sqlite') {
    throw new ConfigError('SLUICE_PROCESS', 'a SQLite file has one process, which does all; use Postgres');
  }
  return role;
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

function readToken(variable: string, value: string | undefined): string | undefined {
  if (value === undefined || value === '') return undefined;
  if (value.length < 20 || /\s/.test(value)) {
    throw new ConfigError(variable, 'expected at least 20 characters without spaces');
  }
  return value;
}

const ROLE_NAMES = ['VIEWER', 'CONTRIBUTOR', 'ADMINISTRATOR'] as const;
type RoleName = (typeof ROLE_NAMES)[number];

function readIssuer(env: Environment, production: boolean): IssuerConfig | undefined {
  const { OIDC_ISSUER: url, OIDC_AUDIENCE: audience } = env;
  if (!url) {
    if (!audience) return undefined;
    throw new ConfigError('OIDC_ISSUER', 'OIDC_AUDIENCE is given, so the issuer must be too');
  }
  const protocol = URL.canParse(url) ? new URL(url).protocol : undefined;
  if (protocol !== 'https:' && (production || protocol !== 'http:')) {
    throw new ConfigError('OIDC_ISSUER', 'expected an https URL, exactly as in the "iss" of its tokens');
  }
  if (!audience)
    throw new ConfigError('OIDC_AUDIENCE', 'expected the "aud" of the tokens that are meant for Sluice');
  const roles = readList(env.OIDC_ROLES ?? ROLE_NAMES.map((role) => `${role}=${role}`).join(',')).map(
    (pair) => {
      const [, value, name] = /^(.+)=([A-Z]+)$/.exec(pair) ?? [];
      const role = ROLE_NAMES.find((known) => known === name);
      if (value === undefined || role === undefined) {
        throw new ConfigError(
          'OIDC_ROLES',
          `expected pairs like marketing=CONTRIBUTOR; roles are ${ROLE_NAMES.join(', ')}`,
        );
      }
      return [value, role] as const;
    },
  );
  return { url, audience, roleClaim: env.OIDC_ROLE_CLAIM ?? 'roles', roles };
}

function readList(value: string | undefined): string[] {
  return (value ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function readRate(env: Environment, variable: string, fallback: number): number {
  return readWhole(env, variable, fallback, 10_000_000);
}

/** A whole number from 1. */
function readWhole(env: Environment, variable: string, fallback: number, max: number): number {
  return readNumber(env, variable, fallback, { min: 1, max, whole: true });
}

function readSwitch(env: Environment, variable: string, fallback: boolean): boolean {
  const value = env[variable];
  if (value === undefined || value === '') return fallback;
  if (value !== 'true' && value !== 'false') throw new ConfigError(variable, 'expected true or false');
  return value === 'true';
}

/** Exactly what a browser sends as `Origin`, or no page would ever match. */
function isOrigin(text: string): boolean {
  return /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}

function isProxy(text: string): boolean {
  const [address = '', bits] = text.split('/');
  const family = isIP(address);
  const isNetwork = bits === undefined || (/^\d+$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
  return PROXY_NAMES.includes(text) || (family !== 0 && isNetwork);
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
