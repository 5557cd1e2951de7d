import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import pg from 'pg';
import type { Database } from '../src/database.js';
import type { Queue } from '../src/exports/queue.js';
import { startBoss } from '../src/jobs/boss.js';
import { createBossQueue } from '../src/jobs/boss-queue.js';
import { createLogger } from '../src/logger.js';
import { systemClock } from '../src/clock.js';
import { NO_WIRE } from '../src/wire.js';
import { createPostgresDatabase } from './helpers/postgres.js';
import { roundsIn, startRounds } from './helpers/rounds.js';
import { createProbe, placeOnPostgres, type QueuePlace } from './helpers/queues.js';

/** As `npm run build` leaves it. */
const PROCESS = 'dist/test/helpers/queue-process.js';
/**
 * After this a dead process's accounts must be worked by another: pg-boss allows no heartbeat below 10 s; 2 s until it is
 * missed, 2 s until somebody looks.
 */
const TAKE_OVER_ROUNDS = roundsIn(20_000);
/** The heartbeat is real time, and processes have to start besides. */
const PATIENCE_MS = 90_000;

function ring(database: Database, queue: Queue, ...accounts: string[]): Promise<void> {
  return database.transact(async (transaction) => {
    for (const account of accounts) await queue.ring(transaction, account);
  });
}

/** A queue of one more process, with a probe that works it. */
async function worker(place: QueuePlace, options: Parameters<QueuePlace['open']>[0] = {}) {
  const queue = await place.open(options);
  const probe = createProbe();
  queue.start(probe.work, []);
  return { queue, probe };
}

/** A worker in a process that can be killed or frozen. */
async function otherProcess(url: string) {
  const child = spawn(process.execPath, [PROCESS, url], { stdio: ['pipe', 'pipe', 'inherit'] });
  const said: string[] = [];
  const lines = createInterface(child.stdout);
  lines.on('line', (line) => said.push(line));
  const until = async (line: string) => {
    while (!said.includes(line)) await once(lines, 'line');
  };
  await until('ready');
  const exit = once(child, 'exit');
  return {
    until,
    signal: (name: NodeJS.Signals) => child.kill(name),
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await exit;
    },
  };
}

async function rows(url: string, statement: string): Promise<unknown[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows;
  } finally {
    await client.end();
  }
}

/** The jobs that are worked, by account, and how often each was tried again because its heartbeat had ended. */
function workedJobs(url: string): Promise<unknown[]> {
  return rows(
    url,
    "SELECT singleton_key AS key, retry_count AS retries FROM pgboss.job WHERE state = 'active' ORDER BY key",
  );
}

describe('the queue of many processes', () => {
  it('is rung by a process that works nothing', async () => {
    await using place = await placeOnPostgres();
    const api = await place.open();
    await ring(place.database, api, 'a', 'b');
    expect(await api.depth()).toEqual({ waiting: 2, active: 0, oldestSeconds: expect.any(Number) as number });
    const { probe } = await worker(place);
    await Promise.all([probe.begun('a'), probe.begun('b')]);
    await ring(place.database, api, 'c');
    await probe.begun('c');
  });

  it('works what the clock of the database has yet to reach, because it was put back', async () => {
    await using place = await placeOnPostgres();
    const api = await place.open();
    await ring(place.database, api, 'a');
    // As rows look that were written before the clock was put back by ten minutes.
    await rows(place.url, "UPDATE pgboss.job SET start_after = now() + interval '10 minutes'");
    await rows(place.url, "UPDATE pgboss.queue SET monitor_claim_on = now() + interval '10 minutes'");
    const { probe } = await worker(place);
    await probe.begun('a');
    const left = await rows(place.url, 'SELECT 1 FROM pgboss.queue WHERE monitor_claim_on > now()');
    expect(left).toEqual([]);
  });

  it('tells how long the first has waited, not counting whom somebody works', async () => {
    await using place = await placeOnPostgres();
    const { queue, probe } = await worker(place);
    const rungAt = performance.now();
    await ring(place.database, queue, 'a');
    await probe.begun('a');
    await ring(place.database, queue, 'a');
    expect(await queue.depth()).toEqual({ waiting: 0, active: 1, oldestSeconds: 0 });
    await queue.stop();
    const { oldestSeconds, ...counts } = await queue.depth();
    expect(counts).toEqual({ waiting: 1, active: 0 });
    expect(oldestSeconds).toBeGreaterThan(0);
    expect(oldestSeconds).toBeLessThanOrEqual(Math.ceil((performance.now() - rungAt) / 1_000));
  });

  it('lets nobody work an account before the rows can be seen that were rung for', async () => {
    await using place = await placeOnPostgres();
    const { database } = place;
    const queue = await place.open();
    const probe = createProbe();
    const seen: unknown[] = [];
    // It waits already when the transaction begins that rings for it again.
    await ring(database, queue, 'a');
    await database.transact(async (transaction) => {
      await transaction.manager.query("INSERT INTO task VALUES ('a', 1)");
      await queue.ring(transaction, 'a');
      queue.start(
        async (account, ...more) => {
          if (account === 'a')
            seen.push(...(await database.reader.query<unknown[]>('SELECT number FROM task')));
          await probe.work(account, ...more);
        },
        ['b'],
      );
      // It has looked, and gone past the account.
      await probe.begun('b');
      expect(probe.times('a')).toBe(0);
    }, 'account a');
    await probe.begun('a');
    expect(seen).toEqual([{ number: 1 }]);
  });

  it('works an account in one process at a time', async () => {
    await using place = await placeOnPostgres();
    const probe = createProbe();
    const queues = await Promise.all([place.open(), place.open(), place.open()]);
    for (const queue of queues) queue.start(probe.work, []);
    for (let nth = 1; nth <= 30; nth += 1) {
      await Promise.all(queues.map((queue) => ring(place.database, queue, 'a')));
      await probe.begun('a', nth);
      await Promise.all(queues.map((queue) => ring(place.database, queue, 'a')));
      probe.finish('a');
    }
    await probe.begun('a', 31);
    expect(probe.overlaps()).toBe(0);
  });

  it('rings the bell of a worker in another process', async () => {
    await using place = await placeOnPostgres();
    const { probe } = await worker(place);
    const api = await place.open();
    await ring(place.database, api, 'a');
    await probe.begun('a');
    const bell = probe.bell('a');
    const seen = bell.count();
    await ring(place.database, api, 'a');
    await bell.after(seen);
  });

  it('rings it also where the wire loses the ring, and each ring', async () => {
    await using place = await placeOnPostgres();
    const { probe } = await worker(place, { wire: NO_WIRE });
    const api = await place.open({ wire: NO_WIRE });
    await ring(place.database, api, 'a');
    await probe.begun('a');
    const bell = probe.bell('a');
    for (let count = 0; count < 2; count += 1) {
      const seen = bell.count();
      await ring(place.database, api, 'a');
      await bell.after(seen);
    }
  });

  it('gives the accounts of a process that stops to another at once', async () => {
    await using place = await placeOnPostgres();
    const first = await worker(place);
    await ring(place.database, first.queue, 'a', 'b');
    await Promise.all([first.probe.begun('a'), first.probe.begun('b')]);
    const second = await worker(place);
    await first.queue.stop();
    await Promise.all([second.probe.begun('a'), second.probe.begun('b')]);
    // Before any heartbeat has ended.
    expect(await workedJobs(place.url)).toEqual([
      { key: 'a', retries: 0 },
      { key: 'b', retries: 0 },
    ]);
  });

  it(
    'gives the accounts of a process that was killed to another',
    async () => {
      await using place = await placeOnPostgres();
      await using killed = await otherProcess(place.url);
      const api = await place.open();
      await ring(place.database, api, 'a', 'b');
      await Promise.all([killed.until('works a'), killed.until('works b')]);
      const { probe } = await worker(place);
      await using rounds = startRounds(() => place.database.reader.query('SELECT 1'));
      killed.signal('SIGKILL');
      const killedIn = rounds.count();
      await Promise.all([probe.begun('a'), probe.begun('b')]);
      const tookRounds = rounds.count() - killedIn;
      if (process.env.SLUICE_SHOW_FIGURES) process.stderr.write(`taken over after ${tookRounds} rounds\n`);
      expect(tookRounds).toBeLessThan(TAKE_OVER_ROUNDS);
      expect(await workedJobs(place.url)).toEqual([
        { key: 'a', retries: 1 },
        { key: 'b', retries: 1 },
      ]);
    },
    PATIENCE_MS,
  );

  it(
    'takes the accounts of a frozen process, which puts them down when it wakes and harms nobody',
    async () => {
      await using place = await placeOnPostgres();
      await using frozen = await otherProcess(place.url);
      const api = await place.open();
      await ring(place.database, api, 'a');
      await frozen.until('works a');
      const { probe } = await worker(place);
      frozen.signal('SIGSTOP');
      await probe.begun('a');
      frozen.signal('SIGCONT');
      await frozen.until('puts down a');
      expect(probe.under()).toBe(1);
      // The job is still the other's: it is neither removed nor given to anybody.
      expect(await api.depth()).toEqual({ waiting: 0, active: 1, oldestSeconds: 0 });
    },
    PATIENCE_MS,
  );

  it('goes on when its connections are cut', async () => {
    await using place = await placeOnPostgres();
    const { queue, probe } = await worker(place);
    await ring(place.database, queue, 'a');
    await probe.begun('a');
    await rows(
      place.url,
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sluice queue' AND datname = current_database()",
    );
    await ring(place.database, queue, 'b');
    await probe.begun('b');
    probe.finish('a');
    probe.finish('b');
  });

  it('leaves nothing of what is done, and takes few connections', async () => {
    await using place = await placeOnPostgres();
    const { queue, probe } = await worker(place);
    const accounts = Array.from({ length: 60 }, (_, index) => `account ${index}`);
    await ring(place.database, queue, ...accounts);
    await Promise.all(accounts.map((account) => probe.begun(account)));
    for (const account of accounts) probe.finish(account);
    // Behind all of them.
    await ring(place.database, queue, 'last');
    await probe.begun('last');
    await queue.stop();
    expect(await rows(place.url, 'SELECT singleton_key AS key FROM pgboss.job')).toEqual([{ key: 'last' }]);
    const connections = await rows(
      place.url,
      "SELECT pid FROM pg_stat_activity WHERE application_name = 'sluice queue' AND datname = current_database()",
    );
    expect(connections.length).toBeLessThanOrEqual(4);
  });

  it('is made by five processes that start at once', async () => {
    await using database = await createPostgresDatabase();
    await rows(database.url, 'DROP SCHEMA pgboss CASCADE');
    const logger = createLogger('silent');
    const bosses = await Promise.all(Array.from({ length: 5 }, () => startBoss(database.url, logger)));
    const services = { wire: NO_WIRE, clock: systemClock, logger };
    await Promise.all(bosses.map((boss) => createBossQueue('accounts', { boss, ...services })));
    expect(await rows(database.url, "SELECT name, policy FROM pgboss.queue WHERE name = 'accounts'")).toEqual(
      [{ name: 'accounts', policy: 'stately' }],
    );
    await Promise.all(bosses.map((boss) => boss.stop()));
  });
});
