import type { Database } from '../src/database.js';
import type { Queue } from '../src/exports/queue.js';
import { createManualClock } from './helpers/manual-clock.js';
import { createProbe, placeInProcess, placeOnPostgres, type QueuePlace } from './helpers/queues.js';

const REST_MS = 10_000;

/** Asks for work as the server does. */
function ring(database: Database, queue: Queue, ...accounts: string[]): Promise<void> {
  return database.transact(async (transaction) => {
    for (const account of accounts) await queue.ring(transaction, account);
  });
}

async function started({ open, database }: QueuePlace) {
  const queue = await open();
  const probe = createProbe();
  queue.start(probe.work, []);
  return { queue, probe, ring: (...accounts: string[]) => ring(database, queue, ...accounts) };
}

describe.each([
  { name: 'the queue of one process', place: placeInProcess },
  { name: 'the queue of many processes', place: placeOnPostgres },
])('$name', ({ place }) => {
  it('works an account that is rung for', async () => {
    await using here = await place();
    const { probe, ring } = await started(here);
    await ring('a');
    await probe.begun('a');
  });

  it('works nobody for whom a transaction rang that failed', async () => {
    await using here = await place();
    const { queue, probe, ring } = await started(here);
    const failing = here.database.transact(async (transaction) => {
      await queue.ring(transaction, 'a');
      throw new Error('No.');
    });
    await expect(failing).rejects.toThrow('No.');
    await ring('b');
    await probe.begun('b');
    expect(probe.times('a')).toBe(0);
  });

  it('works what an earlier process left unfinished', async () => {
    await using here = await place();
    const queue = await here.open();
    const probe = createProbe();
    queue.start(probe.work, ['a', 'b']);
    await Promise.all([probe.begun('a'), probe.begun('b')]);
  });

  it('rings the bell of a worker that is rung for, at once', async () => {
    await using here = await place();
    const { probe, ring } = await started(here);
    await ring('a');
    await probe.begun('a');
    const bell = probe.bell('a');
    const seen = bell.count();
    await ring('a');
    expect(bell.count()).toBeGreaterThan(seen);
  });

  it('works an account once at a time, and again if it was rung for meanwhile', async () => {
    await using here = await place();
    const { probe, ring } = await started(here);
    await ring('a');
    await probe.begun('a');
    for (let count = 0; count < 3; count += 1) await ring('a', 'b');
    await probe.begun('b');
    // It has looked, and not begun with the account a second time.
    expect(probe.times('a')).toBe(1);
    probe.finish('a');
    await probe.begun('a', 2);
  });

  it('works a hundred accounts side by side', async () => {
    await using here = await place();
    const { queue, probe, ring } = await started(here);
    const accounts = Array.from({ length: 100 }, (_, index) => `account ${index}`);
    await ring(...accounts);
    await Promise.all(accounts.map((account) => probe.begun(account)));
    expect(probe.under()).toBe(100);
    expect(await queue.depth()).toEqual({ waiting: 0, active: 100, oldestSeconds: 0 });
  });

  it('has an account that could not be worked tried again after a rest', async () => {
    const clock = createManualClock();
    await using here = await place(clock);
    const { probe, ring } = await started(here);
    await ring('a');
    await probe.begun('a');
    probe.finish('a', new Error('The disk is full.'));
    // On Postgres it rests by the machine's time.
    await clock.pass(REST_MS);
    await probe.begun('a', 2);
  }, 90_000);

  it('does not let it rest if it is rung for', async () => {
    await using here = await place(createManualClock());
    const { probe, ring } = await started(here);
    await ring('a');
    await probe.begun('a');
    probe.finish('a', new Error('The disk is full.'));
    await ring('a');
    await probe.begun('a', 2);
  });

  it('loses no ring, whenever it comes', async () => {
    await using here = await place();
    const { database } = here;
    const queue = await here.open();
    const tasks = 200;
    const done: number[] = [];
    const all = Promise.withResolvers<undefined>();
    const perform = async (account: string) => {
      for (;;) {
        const found = await database.transact(async ({ manager }) => {
          const rows = await manager.query<{ number: number }[]>(
            'SELECT number FROM task WHERE account = $1',
            [account],
          );
          for (const { number } of rows) await manager.query('DELETE FROM task WHERE number = $1', [number]);
          return rows.map(({ number }) => number);
        }, `account ${account}`);
        done.push(...found);
        if (done.length === tasks) all.resolve(undefined);
        if (found.length === 0) return;
      }
    };
    queue.start(perform, []);
    const giveTask = (number: number) => {
      const account = `account ${number % 3}`;
      return database.transact(
        async (transaction) => {
          await transaction.manager.query('INSERT INTO task VALUES ($1, $2)', [account, number]);
          await queue.ring(transaction, account);
          for (let turns = number % 7; turns > 0; turns -= 1) await transaction.manager.query('SELECT 1');
        },
        // Side by side with the others, where the database can.
        `task ${number % 5}`,
      );
    };
    await Promise.all(Array.from({ length: tasks }, (_, number) => giveTask(number)));
    await all.promise;
    expect(done.sort((a, b) => a - b)).toEqual(Array.from({ length: tasks }, (_, number) => number));
  });

  it('stops when its workers have put down what they hold, and works nobody any more', async () => {
    await using here = await place();
    const queue = await here.open();
    const probe = createProbe();
    const putDown = Promise.withResolvers<undefined>();
    queue.start(async (...work) => {
      await probe.work(...work);
      await putDown.promise;
    }, []);
    await ring(here.database, queue, 'a');
    await probe.begun('a');
    let isStopped = false;
    const stopped = queue.stop().then(() => (isStopped = true));
    await probe.told('a');
    await ring(here.database, queue, 'a', 'b');
    expect(isStopped).toBe(false);
    putDown.resolve(undefined);
    await stopped;
    expect([probe.times('a'), probe.times('b'), probe.under()]).toEqual([1, 0, 0]);
  });
});
