import type { PgBoss } from 'pg-boss';
import { systemClock, type Clock } from '../clock.js';
import { createBell, type Bell } from '../bell.js';
import type { AccountWorker, Queue } from '../exports/queue.js';
import type { Logger } from '../logger.js';
import type { Wire } from '../wire.js';
import { openBossJobs, type AccountJob } from './boss-jobs.js';

export interface BossQueueServices {
  readonly boss: PgBoss;
  /** What it loses, the queue makes up for by polling. */
  readonly wire: Pick<Wire, 'tell' | 'hear'>;
  /** For the bells of the workers. The queue itself lives by the time of the machine and the database. */
  readonly clock: Clock;
  readonly logger: Logger;
}

/** An account that this process works. */
interface Held {
  readonly job: AccountJob;
  readonly bell: Bell;
  readonly leaving: AbortController;
  /** The ring over there that the bell was rung for already. */
  lastRing: string | undefined;
  done: Promise<void>;
}

/** A sign of life: two of three may be missed. */
const BEAT_MS = 3_000;
/** How long an account waits whose ring the wire lost, or a dead worker's that is free again. */
const POLL_MS = 2_000;
/** How long an account rests after its worker failed, unless it is rung for. */
const REST_SECONDS = 10;
/** Few, so that processes that look at the same time share what there is. */
const FETCHED_AT_ONCE = 20;
/** Accounts mostly wait for their pace. This many fit into a process's memory, and may be delayed by its death. */
const MOST_ACCOUNTS = 1_000;

/**
 * The queue of many processes: a pg-boss job for each account that is worked or waits to be.
 *
 * - A ring writes a job in its transaction. Every process fetches jobs, works each account until its worker has looked
 *   for the last time, and removes the job. One that was written meanwhile waits until then, and has the account looked
 *   at again.
 * - A worker's bell is rung by rings in its process at once, by those in others over the wire, and, if the wire loses
 *   one, because a job waits for an account that is being worked.
 * - A process gives signs of life for all that it works. If there is none for ten seconds, its jobs are free for others.
 *   Was it only frozen, it finds that they are gone, and puts the accounts down; until then the `attempt` of the runs
 *   keeps it from writing.
 * - Who stops, or fails, writes a new job before it removes its own.
 */
export async function createBossQueue(name: string, services: BossQueueServices): Promise<Queue> {
  const { boss, wire, clock, logger } = services;
  const jobs = await openBossJobs(boss, name);
  const topic = `queue ${name}`;
  const accounts = new Map<string, Held>();
  const news = createBell(systemClock);
  const stopping = new AbortController();
  const stopped = new AbortController();
  let looking = Promise.resolve();
  let beating = Promise.resolve();

  const wake = (account: string) => {
    accounts.get(account)?.bell.ring();
    news.ring();
  };

  const leave = ({ leaving, bell }: Held) => {
    leaving.abort();
    bell.ring();
  };

  const work = async (held: Held, perform: AccountWorker) => {
    const { account } = held.job.data;
    let isToRest = false;
    try {
      if (!held.leaving.signal.aborted) await perform(account, held.bell, held.leaving.signal);
    } catch (error: unknown) {
      logger.error({ account, err: error }, 'an account could not be worked; it is tried again');
      isToRest = true;
    }
    // stop() gives back all together.
    if (stopping.signal.aborted) return;
    try {
      if (isToRest) await jobs.add([account], REST_SECONDS);
      await jobs.remove([held.job]);
    } catch (error: unknown) {
      logger.warn(
        { account, err: error },
        'an account could not be put down; it is free when its heartbeat ends',
      );
    }
    if (accounts.get(account) === held) accounts.delete(account);
    news.ring();
  };

  const begin = (job: AccountJob, perform: AccountWorker) => {
    const { account } = job.data;
    const before = accounts.get(account);
    // We lost the account, and came by it again before we knew.
    if (before !== undefined) leave(before);
    const leaving = new AbortController();
    const held: Held = {
      job,
      bell: createBell(clock),
      leaving,
      lastRing: undefined,
      done: Promise.resolve(),
    };
    if (stopping.signal.aborted) leaving.abort();
    accounts.set(account, held);
    held.done = (before?.done ?? Promise.resolve()).then(() => work(held, perform));
  };

  const takeUp = async (perform: AccountWorker) => {
    while (!stopping.signal.aborted && accounts.size < MOST_ACCOUNTS) {
      const most = Math.min(FETCHED_AT_ONCE, MOST_ACCOUNTS - accounts.size);
      const fetched = await jobs.fetch(most);
      for (const job of fetched) begin(job, perform);
      if (fetched.length < most) return;
    }
  };

  const ringUnheard = async () => {
    for (const { account, at } of await jobs.waiting([...accounts.keys()])) {
      const held = accounts.get(account);
      if (held === undefined || held.lastRing === at) continue;
      held.lastRing = at;
      held.bell.ring();
    }
  };

  const keepLooking = async (perform: AccountWorker, unfinished: readonly string[]) => {
    let left = unfinished;
    while (!stopping.signal.aborted) {
      const seen = news.count();
      try {
        await jobs.add(left);
        left = [];
        await jobs.undateFuture();
        await takeUp(perform);
        await ringUnheard();
      } catch (error: unknown) {
        logger.error({ err: error }, 'the queue could not be looked at; it is tried again');
      }
      await news.after(seen, systemClock.monotonic() + POLL_MS);
    }
  };

  const giveSignOfLife = async () => {
    const all = [...accounts.values()];
    if (await jobs.touch(all.map(({ job }) => job))) return;
    for (const held of all) {
      const { account } = held.job.data;
      const isOurs = await jobs.touch([held.job]);
      // It may have ended meanwhile.
      if (isOurs || held.leaving.signal.aborted || accounts.get(account) !== held) continue;
      logger.warn({ account }, 'an account was taken over by somebody else; it is put down here');
      leave(held);
    }
  };

  const keepAlive = async () => {
    while (!stopped.signal.aborted) {
      await systemClock.sleep(BEAT_MS, stopped.signal).catch(() => undefined);
      // That no sign could be given says nothing about whose the accounts are.
      await giveSignOfLife().catch((error: unknown) => {
        logger.warn({ err: error }, 'the queue could not give a sign of life; it is tried again');
      });
    }
  };

  const giveBack = async () => {
    const left = [...accounts.values()].map(({ job }) => job);
    accounts.clear();
    if (left.length === 0) return;
    await jobs.add(left.map(({ data }) => data.account));
    await jobs.remove(left);
    wire.tell(topic, '');
  };

  return {
    ring: async (transaction, account) => {
      await jobs.write(transaction, account);
      transaction.afterCommit(() => {
        wake(account);
        wire.tell(topic, account);
      });
    },

    start: (perform, unfinished) => {
      const unhear = wire.hear(topic, wake);
      stopping.signal.addEventListener('abort', unhear, { once: true });
      looking = keepLooking(perform, unfinished);
      beating = keepAlive();
    },

    stop: async () => {
      stopping.abort();
      news.ring();
      for (const held of accounts.values()) leave(held);
      await looking;
      await Promise.all([...accounts.values()].map(({ done }) => done));
      await giveBack().catch((error: unknown) => {
        logger.warn(
          { err: error },
          'accounts could not be given back; they are free when their heartbeat ends',
        );
      });
      stopped.abort();
      await beating;
    },

    depth: jobs.depth,
  };
}
