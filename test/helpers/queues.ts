import { mkdtemp, rm } from 'node:fs/promises';
import { EventEmitter } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, type Clock } from '../../src/clock.js';
import type { Database } from '../../src/database.js';
import type { Bell } from '../../src/bell.js';
import type { Queue } from '../../src/exports/queue.js';
import { createBossQueue } from '../../src/jobs/boss-queue.js';
import { startBoss } from '../../src/jobs/boss.js';
import { createInProcessQueue } from '../../src/jobs/in-process-queue.js';
import { createLogger, type Logger } from '../../src/logger.js';
import { openDatabase } from '../../src/open-database.js';
import type { Wire } from '../../src/wire.js';
import { createPostgresDatabase } from './postgres.js';

type WireEnd = Pick<Wire, 'tell' | 'hear'>;

/** A database, and queues over it as different processes would have them. */
export interface QueuePlace extends AsyncDisposable {
  readonly database: Database;
  /** The queue of one more process. A place in one process has one. */
  readonly open: (options?: { readonly wire?: WireEnd; readonly logger?: Logger }) => Promise<Queue>;
  /** Of Postgres only. */
  readonly url: string;
}

/** Written and removed by tests, as runs are by the server: what is to be done for an account. */
const TASKS = 'CREATE TABLE task (account varchar NOT NULL, number integer NOT NULL)';
const NO_TABLES = { entities: [], migrations: [] };

export async function placeInProcess(clock: Clock = systemClock): Promise<QueuePlace> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-queue-'));
  const database = await openDatabase({ kind: 'sqlite', file: join(folder, 'sluice.db') }, NO_TABLES);
  await database.transact(({ manager }) => manager.query(TASKS));
  const opened: Queue[] = [];
  return {
    database,
    url: '',
    open: ({ logger = createLogger('silent') } = {}) => {
      const queue = createInProcessQueue({ clock, logger });
      opened.push(queue);
      return Promise.resolve(queue);
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(opened.map((queue) => queue.stop()));
      await database.close();
      await rm(folder, { recursive: true });
    },
  };
}

export async function placeOnPostgres(clock: Clock = systemClock): Promise<QueuePlace> {
  const { url, drop } = await createPostgresDatabase();
  const database = await openDatabase({ kind: 'postgres', url }, NO_TABLES);
  await database.transact(({ manager }) => manager.query(TASKS));
  const newEnd = createWire();
  const opened: (() => Promise<void>)[] = [];
  return {
    database,
    url,
    open: async ({ wire = newEnd(), logger = createLogger('silent') } = {}) => {
      const boss = await startBoss(url, logger);
      const queue = await createBossQueue('accounts', { boss, wire, clock, logger });
      opened.push(async () => {
        await queue.stop();
        await boss.stop();
      });
      return queue;
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(opened.map((stop) => stop()));
      await database.close();
      await drop();
    },
  };
}

/** What one end tells, all others hear a moment later. */
function createWire(): () => WireEnd {
  const ends = new Set<EventEmitter>();
  return () => {
    const own = new EventEmitter();
    ends.add(own);
    return {
      tell: (topic, about) => {
        for (const end of ends) if (end !== own) setImmediate(() => end.emit(topic, about));
      },
      hear: (topic, listener) => {
        own.on(topic, listener);
        return () => own.off(topic, listener);
      },
    };
  };
}

/** A worker that notes what befalls it; each account is worked until `finish`, or a signal, ends it. */
export interface Probe {
  readonly work: (account: string, bell: Bell, signal: AbortSignal) => Promise<void>;
  /** Resolves when the account's worker has begun for the nth time. */
  readonly begun: (account: string, nth?: number) => Promise<void>;
  /** How often the account's worker has begun. */
  readonly times: (account: string) => number;
  /** How many work, of all accounts. */
  readonly under: () => number;
  /** How often a worker began with an account that another had not put down. */
  readonly overlaps: () => number;
  readonly finish: (account: string, error?: Error) => void;
  readonly bell: (account: string) => Bell;
  /** Resolves when the account's worker was told to stop. */
  readonly told: (account: string) => Promise<void>;
}

export function createProbe(): Probe {
  const news = new EventEmitter();
  news.setMaxListeners(0);
  const times = new Map<string, number>();
  let overlaps = 0;
  const working = new Map<
    string,
    { bell: Bell; signal: AbortSignal; end: PromiseWithResolvers<undefined> }
  >();
  const at = (account: string) => {
    const found = working.get(account);
    if (found === undefined) throw new Error(`Nobody works ${account}.`);
    return found;
  };
  const until = async (isSo: () => boolean) => {
    while (!isSo()) await new Promise((resolve) => news.once('news', resolve));
  };
  return {
    work: async (account, bell, signal) => {
      if (working.has(account)) {
        overlaps += 1;
        return;
      }
      const end = Promise.withResolvers<undefined>();
      working.set(account, { bell, signal, end });
      times.set(account, (times.get(account) ?? 0) + 1);
      const give = () => {
        news.emit('news');
        end.resolve(undefined);
      };
      signal.addEventListener('abort', give);
      news.emit('news');
      try {
        await end.promise;
      } finally {
        signal.removeEventListener('abort', give);
        working.delete(account);
        news.emit('news');
      }
    },
    begun: (account, nth = 1) => until(() => (times.get(account) ?? 0) >= nth),
    times: (account) => times.get(account) ?? 0,
    under: () => working.size,
    overlaps: () => overlaps,
    finish: (account, error) => {
      const { end } = at(account);
      if (error === undefined) end.resolve(undefined);
      else end.reject(error);
    },
    bell: (account) => at(account).bell,
    told: (account) => until(() => !working.has(account) || at(account).signal.aborted),
  };
}
