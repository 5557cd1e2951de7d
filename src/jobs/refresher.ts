import type { EntityManager } from 'typeorm';
import { record, type SignedInActor } from '../audit/record.js';
import type { Transaction } from '../database.js';
import type { ExportRun } from '../entities/export-run.js';
import { Refresh, RefreshState, RefreshTrigger } from '../entities/refresh.js';
import { ConflictError } from '../errors.js';
import { createBell } from '../bell.js';
import type { Queue } from '../exports/queue.js';
import { StoppingError } from '../profiles/evaluate.js';
import { beginRefresh, RefreshMovedError, runningRefresh, runsOf, type RefreshWish } from './refreshes.js';
import { workRefresh, type RefreshServices } from './work-refresh.js';

/**
 * Works refreshes. Their rows are the truth, and a queue is their bell, as with the runs of an account: so one process
 * works a refresh, and another goes on with it when that one dies.
 */
export interface Refresher {
  /** Begins to work, also what an earlier process left unfinished. */
  readonly start: () => Promise<void>;
  /** Writes a refresh down, to be worked after the commit. Only when none is under way. */
  readonly begin: (transaction: Transaction, wish: RefreshWish) => Promise<Refresh>;
  /**
   * Asks for a refresh, or joins the one under way, and waits until everything is queued.
   * @returns the runs that it queued, joined or skipped.
   * @throws {ConflictError} when the server stops; the refresh goes on after the next start.
   */
  readonly request: (actor: SignedInActor) => Promise<ExportRun[]>;
  /** Resolves when nothing of it is under way any more. */
  readonly stop: () => Promise<void>;
}

/** There is one refresh at a time. */
const THE_REFRESH = 'refresh';
/** How often is looked for the end of one that another process works. */
const POLL_MS = 1_000;

/** @param queue its own: nothing else rings in it. */
export function createRefresher(services: RefreshServices & { readonly refreshQueue: Queue }): Refresher {
  const { database, clock, closing, refreshQueue: queue } = services;
  const bell = createBell(clock);
  closing.addEventListener('abort', bell.ring);

  let stopped: Promise<void> | undefined;
  const stop = () => (stopped ??= queue.stop());

  const work = async (signal: AbortSignal) => {
    const refresh = await database.transact(({ manager }) => takeUp(manager));
    if (refresh === null) return;
    try {
      await workRefresh({ ...services, closing: signal }, refresh);
    } catch (error: unknown) {
      if (!(error instanceof StoppingError) && !(error instanceof RefreshMovedError)) throw error;
    } finally {
      bell.ring();
    }
  };

  const begin: Refresher['begin'] = async (transaction, wish) => {
    const refresh = await beginRefresh(services, transaction.manager, wish);
    await queue.ring(transaction, THE_REFRESH);
    return refresh;
  };

  const untilDone = async (id: string) => {
    for (;;) {
      const seen = bell.count();
      const { state } = await database.reader.findOneByOrFail(Refresh, { id });
      if (state !== RefreshState.RUNNING) return;
      if (closing.aborted) {
        throw new ConflictError(
          'The server is stopping.',
          'The refresh goes on after the next start; look at refreshes.',
        );
      }
      await bell.after(seen, clock.monotonic() + POLL_MS);
    }
  };

  return {
    begin,

    start: async () => {
      // Before the doors close. Only a queue that knows that it stops gives back what was broken off.
      closing.addEventListener('abort', () => void stop());
      const isAnyLeft = (await runningRefresh(database.reader)) !== null;
      queue.start((_name, _bell, signal) => work(signal), isAnyLeft ? [THE_REFRESH] : []);
    },

    request: async (actor) => {
      const id = await database.transact(async (transaction) => {
        const { manager } = transaction;
        const running = await runningRefresh(manager);
        const event = { at: new Date(clock.now()), actor, action: 'runRefresh', subjectType: 'Refresh' };
        if (running !== null) {
          await record(manager, { ...event, subjectId: running.id, detail: { joined: true } });
          return running.id;
        }
        const asked = { requestedById: actor.id, requestedFrom: actor.address };
        const wish = { trigger: RefreshTrigger.ON_DEMAND, ...asked };
        const refresh = await begin(transaction, wish);
        await record(manager, { ...event, subjectId: refresh.id });
        return refresh.id;
      });
      await untilDone(id);
      return runsOf(services, id);
    },

    stop,
  };
}

/** Takes up the refresh that is to be worked: whoever had it before cannot write any more. Null: there is none. */
async function takeUp(manager: EntityManager): Promise<Refresh | null> {
  const refresh = await runningRefresh(manager);
  if (refresh === null) return null;
  refresh.attempt += 1;
  await manager.update(Refresh, { id: refresh.id }, { attempt: refresh.attempt });
  return refresh;
}
