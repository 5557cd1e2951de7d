import { record, type SignedInActor } from '../audit/record.js';
import type { ExportRun } from '../entities/export-run.js';
import { Refresh, RefreshState, RefreshTrigger } from '../entities/refresh.js';
import { ConflictError } from '../errors.js';
import { createBell } from '../exports/bell.js';
import { StoppingError } from '../profiles/evaluate.js';
import { beginRefresh, RefreshMovedError, runningRefresh, runsOf } from './refreshes.js';
import { workRefresh, type RefreshServices } from './work-refresh.js';

/** Works refreshes. Their rows are the truth: it may be stopped and started as often as the server is. */
export interface Refresher {
  /** Takes up what an earlier process left unfinished. */
  readonly start: () => Promise<void>;
  /** Works a refresh that was written down; answers at once. */
  readonly work: (refresh: Refresh) => void;
  /**
   * Asks for a refresh, or joins the one under way, and waits until everything is queued.
   * @returns the runs that it queued, joined or skipped.
   * @throws {ConflictError} when the server stops; the refresh goes on after the next start.
   */
  readonly request: (actor: SignedInActor) => Promise<ExportRun[]>;
  /** Resolves when nothing of it is under way any more; the signal `closing` has told it to stop. */
  readonly stop: () => Promise<void>;
}

/** How long a refresh rests after it broke, and how often is looked for the end of one that another process works. */
const RETRY_MS = 10_000;
const POLL_MS = 1_000;

export function createRefresher(services: RefreshServices): Refresher {
  const { database, clock, logger, closing } = services;
  const bell = createBell(clock);
  closing.addEventListener('abort', bell.ring);
  const working = new Set<Promise<void>>();

  const isDone = async (refresh: Refresh): Promise<boolean> => {
    try {
      await workRefresh(services, refresh);
      return true;
    } catch (error: unknown) {
      if (error instanceof StoppingError || error instanceof RefreshMovedError) return true;
      logger.error({ refreshId: refresh.id, err: error }, 'a refresh could not be worked; it is tried again');
      return false;
    }
  };

  const perform = async (refresh: Refresh) => {
    while (!closing.aborted && !(await isDone(refresh)))
      await bell.after(bell.count(), clock.now() + RETRY_MS);
    bell.ring();
  };

  const work: Refresher['work'] = (refresh) => {
    const done = perform(refresh).finally(() => working.delete(done));
    working.add(done);
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
      await bell.after(seen, clock.now() + POLL_MS);
    }
  };

  return {
    work,

    start: async () => {
      const left = await database.transact(async ({ manager }) => {
        const refresh = await runningRefresh(manager);
        if (refresh === null) return null;
        refresh.attempt += 1;
        await manager.update(Refresh, { id: refresh.id }, { attempt: refresh.attempt });
        return refresh;
      });
      if (left !== null) work(left);
    },

    request: async (actor) => {
      const id = await database.transact(async ({ manager, afterCommit }) => {
        const running = await runningRefresh(manager);
        const event = { at: new Date(clock.now()), actor, action: 'runRefresh', subjectType: 'Refresh' };
        if (running !== null) {
          await record(manager, { ...event, subjectId: running.id, detail: { joined: true } });
          return running.id;
        }
        const asked = { requestedById: actor.id, requestedFrom: actor.address };
        const wish = { trigger: RefreshTrigger.ON_DEMAND, ...asked };
        const refresh = await beginRefresh(services, manager, wish);
        await record(manager, { ...event, subjectId: refresh.id });
        afterCommit(() => {
          work(refresh);
        });
        return refresh.id;
      });
      await untilDone(id);
      return runsOf(services, id);
    },

    stop: async () => {
      await Promise.all(working);
    },
  };
}
