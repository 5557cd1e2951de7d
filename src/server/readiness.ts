import type { EntityManager } from 'typeorm';
import type { Clock } from '../clock.js';
import { describeError } from '../errors.js';
import type { Logger } from '../logger.js';
import type { Wire } from '../wire.js';

/** Something without which the process must not be given work. */
export interface Check {
  /** Names it in the answer of `/readyz`. */
  readonly name: string;
  /** What is wrong when it does not hold, for anybody to read: nothing secret, nothing of the inside. */
  readonly problem: string;
  /** Whether it holds. One that throws, or takes longer than two seconds, does not hold; the log has why. */
  readonly check: () => Promise<boolean>;
}

export interface Readiness {
  readonly status: 'ready' | 'not ready';
  readonly checks: Readonly<Record<string, { readonly ok: boolean; readonly problem?: string }>>;
}

/** Whoever asks gives up soon, and takes no answer for a bad one. */
const TIMEOUT_MS = 2_000;

/** Makes what looks at all checks, side by side. Logged is when one fails and when it holds again, not every look. */
export function createReadiness(
  checks: readonly Check[],
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): () => Promise<Readiness> {
  const failing = new Set<string>();

  const note = (name: string, why: string | undefined) => {
    if (why !== undefined && !failing.has(name)) logger.warn({ check: name, why }, 'not ready');
    if (why === undefined && failing.has(name)) logger.info({ check: name }, 'ready again');
    if (why === undefined) failing.delete(name);
    else failing.add(name);
  };

  const look = async ({ name, problem, check }: Check) => {
    const why = await whyNot(check, clock);
    note(name, why);
    return [name, why === undefined ? { ok: true } : { ok: false, problem }] as const;
  };

  return async () => {
    const looks = await Promise.all(checks.map(look));
    const isReady = looks.every(([, { ok }]) => ok);
    return { status: isReady ? 'ready' : 'not ready', checks: Object.fromEntries(looks) };
  };
}

/** Undefined: it holds. */
async function whyNot(check: Check['check'], clock: Clock): Promise<string | undefined> {
  const tooLate = new AbortController();
  const timeout = clock.sleep(TIMEOUT_MS, tooLate.signal).then(
    () => `no answer within ${TIMEOUT_MS} ms`,
    () => undefined,
  );
  const answer = check().then(
    (holds) => (holds ? undefined : 'it does not hold'),
    (error: unknown) => describeError(error),
  );
  try {
    return await Promise.race([answer, timeout]);
  } finally {
    tooLate.abort();
  }
}

/** The process has not been told to stop. */
export function stoppingCheck(closing: AbortSignal): Check {
  return {
    name: 'running',
    problem: 'The process is stopping.',
    check: () => Promise.resolve(!closing.aborted),
  };
}

export function databaseCheck(reader: EntityManager): Check {
  return {
    name: 'database',
    problem: 'The database cannot be read.',
    check: async () => {
      // A table: SQLite answers `SELECT 1` without looking at its file.
      await reader.query('SELECT "id" FROM "users" LIMIT 1');
      return true;
    },
  };
}

/** Without the wire everything goes on, but later: other processes are heard by looking. */
export function wireCheck(wire: Wire): Check {
  return {
    name: 'wire',
    problem: 'The connection to the other processes (LISTEN) is down; it is opened again.',
    check: () => Promise.resolve(wire.isUp()),
  };
}

/**
 * Every migration of this program was carried out in the database. It may know of more: while replicas are brought up
 * to date one by one, the old ones go on working.
 */
export function migrationsCheck(
  reader: EntityManager,
  migrations: readonly { readonly name: string }[],
): Check {
  return {
    name: 'migrations',
    problem:
      'The tables of the database are older than this program: start it again, which brings them up to date.',
    check: async () => {
      const done: { name: string }[] = await reader.query('SELECT "name" FROM "migrations"');
      const names = new Set(done.map(({ name }) => name));
      return migrations.every(({ name }) => names.has(name));
    },
  };
}
