import type { EntityManager } from 'typeorm';
import { In } from 'typeorm';
import { systemClock, type Clock } from '../clock.js';
import { ExportRun } from '../entities/export-run.js';
import { Export } from '../entities/export.js';
import { describeError, NotFoundError } from '../errors.js';
import { gather } from '../gather.js';
import type { Logger } from '../logger.js';
import type { Wire } from '../wire.js';
import { isFinal, UNFINISHED } from './run-states.js';

/** Which runs a subscriber watches: one run, all runs of one export, or all. */
export interface RunFilter {
  readonly runId?: string | null;
  readonly exportId?: string | null;
}

/**
 * Tells subscribers how runs change. Each subscriber holds the latest state of each run it has not seen yet, and
 * nothing else: whoever reads slowly skips states in between, never the final one, and costs no memory. A run is
 * told four times a second at most, and read once for all its subscribers.
 *
 * Runs change in other processes too. These tell it over the wire; what the wire loses is found by looking, every
 * `LOOK_MS`, at the runs that somebody watches: so no subscriber waits for a final state for ever.
 */
export interface ProgressHub {
  /** Call it after every commit that changed the run. */
  readonly changed: (runId: string) => void;
  /**
   * First the runs as they are now, then every change. With a runId the stream ends after the final state.
   * @throws {NotFoundError} if there is no such run or export.
   */
  readonly subscribe: (filter: RunFilter) => Promise<AsyncIterableIterator<ExportRun>>;
  /** Ends every stream. */
  readonly close: () => void;
}

/** Three changes a second: with the state that a new subscriber gets at once they are four. */
const MIN_INTERVAL_MS = 334;
/** What is read twice is read within seconds; so many runs do not end meanwhile. */
const MAX_FINISHED = 1_000;
const LOOK_MS = 1_500;
/** Runs that one statement reads. */
const MAX_READ = 100;
/** The topic on the wire; about a run, by its id. */
const RUN = 'run';

export function createProgressHub(services: {
  reader: EntityManager;
  clock: Clock;
  logger: Logger;
  wire: Wire;
}): ProgressHub {
  const { reader, clock, logger, wire } = services;
  const subscribers = new Set<Subscriber>();
  /** Runs with a change that is not published yet; each is looked after by one `publish`. */
  const unpublished = new Map<string, { again: boolean }>();
  const closing = new AbortController();

  /** Hundreds of runs may change at the same moment, for example when they are queued together. */
  const readRun = gather<string, ExportRun | null>(async (ids) => {
    const runs = new Map((await reader.findBy(ExportRun, { id: In([...ids]) })).map((run) => [run.id, run]));
    return ids.map((id) => runs.get(id) ?? null);
  }, MAX_READ);

  const publish = async (runId: string, mark: { again: boolean }) => {
    while (mark.again && !closing.signal.aborted) {
      mark.again = false;
      try {
        const run = await readRun(runId);
        if (run !== null) for (const subscriber of subscribers) subscriber.offer(run);
        if (run !== null && isFinal(run.state)) break;
      } catch (error: unknown) {
        // Tried again: it may have been the final state.
        mark.again = true;
        logger.error({ runId, why: describeError(error) }, 'progress could not be read');
      }
      await pause(MIN_INTERVAL_MS);
    }
    unpublished.delete(runId);
  };

  const pause = async (ms: number) => {
    try {
      await clock.sleep(ms, closing.signal);
    } catch (error: unknown) {
      if (!closing.signal.aborted) throw error;
    }
  };

  const changedHere = (runId: string) => {
    const mark = unpublished.get(runId);
    if (mark !== undefined) {
      mark.again = true;
      return;
    }
    if (subscribers.size === 0 || closing.signal.aborted) return;
    const fresh = { again: true };
    unpublished.set(runId, fresh);
    void publish(runId, fresh);
  };

  /** Goes on while somebody watches; by the machine's time, as the wire does that it stands in for. */
  let isLooking = false;
  const lookAround = async () => {
    isLooking = true;
    while (subscribers.size > 0 && !closing.signal.aborted) {
      await systemClock.sleep(LOOK_MS, closing.signal).catch(() => undefined);
      try {
        const seen = new Set([...subscribers].flatMap(({ unfinished }) => [...unfinished()]));
        const where = [{ id: In([...seen]) }, { state: In(UNFINISHED) }];
        const runs = subscribers.size === 0 ? [] : await reader.findBy(ExportRun, where);
        for (const run of runs) for (const subscriber of subscribers) subscriber.offer(run);
      } catch (error: unknown) {
        logger.warn({ why: describeError(error) }, 'runs could not be looked at; it is tried again');
      }
    }
    isLooking = false;
  };

  const unhear = wire.hear(RUN, changedHere);

  return {
    changed: (runId) => {
      changedHere(runId);
      wire.tell(RUN, runId);
    },

    subscribe: async (filter) => {
      const subscriber = createSubscriber(filter, () => subscribers.delete(subscriber));
      // First listen, then look: a change in between is seen twice rather than never.
      subscribers.add(subscriber);
      if (wire.isShared && !isLooking) void lookAround();
      try {
        for (const run of await present(reader, filter)) subscriber.offer(run);
      } catch (error: unknown) {
        subscribers.delete(subscriber);
        throw error;
      }
      return subscriber.stream;
    },

    close: () => {
      unhear();
      closing.abort(new Error('The server is stopping.'));
      for (const subscriber of subscribers) void subscriber.stream.return?.();
    },
  };
}

/** The runs that a new subscriber sees first: the run, the latest of the export, or all that are not at an end. */
async function present(reader: EntityManager, { runId, exportId }: RunFilter): Promise<ExportRun[]> {
  if (runId) {
    const run = await reader.findOneBy(ExportRun, { id: runId, ...(exportId ? { exportId } : {}) });
    if (run === null) throw new NotFoundError('run');
    return [run];
  }
  if (exportId) {
    if (!(await reader.existsBy(Export, { id: exportId }))) throw new NotFoundError('export');
    return reader.find(ExportRun, { where: { exportId }, order: { number: 'DESC' }, take: 1 });
  }
  return reader.find(ExportRun, { where: { state: In(UNFINISHED) }, order: { id: 'ASC' } });
}

interface Subscriber {
  readonly offer: (run: ExportRun) => void;
  /** The runs of which it has seen, or is about to see, a state that is not final. */
  readonly unfinished: () => Iterable<string>;
  readonly stream: AsyncIterableIterator<ExportRun>;
}

function createSubscriber({ runId, exportId }: RunFilter, onEnd: () => void): Subscriber {
  /** The latest state of each run, not delivered yet, in the order in which the runs came up. */
  const latest = new Map<string, ExportRun>();
  const delivered = new Map<string, number>();
  /** The last runs that were delivered in their final state: what was read of them before comes too late. */
  const finished = new Set<string>();
  const waiting: ((result: IteratorResult<ExportRun>) => void)[] = [];
  let ended = false;

  const noteEnd = (id: string) => {
    delivered.delete(id);
    finished.add(id);
    const [oldest] = finished;
    if (finished.size > MAX_FINISHED && oldest !== undefined) finished.delete(oldest);
  };

  const end = () => {
    ended = true;
    latest.clear();
    onEnd();
    for (const resolve of waiting.splice(0)) resolve({ done: true, value: undefined });
  };

  const takeLatest = (): ExportRun | undefined => {
    const [run] = latest.values();
    if (run === undefined) return undefined;
    latest.delete(run.id);
    if (isFinal(run.state)) noteEnd(run.id);
    else delivered.set(run.id, run.sequence);
    return run;
  };

  const next = (): Promise<IteratorResult<ExportRun>> => {
    const run = takeLatest();
    if (run !== undefined) {
      // Nothing follows the final state; the stream of one run ends with it.
      if (runId && isFinal(run.state)) end();
      return Promise.resolve({ done: false, value: run });
    }
    if (ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => waiting.push(resolve));
  };

  return {
    offer: (run) => {
      if (ended || (runId && run.id !== runId) || (exportId && run.exportId !== exportId)) return;
      if (finished.has(run.id)) return;
      const known = latest.get(run.id)?.sequence ?? delivered.get(run.id) ?? -1;
      if (run.sequence <= known) return;
      latest.set(run.id, run);
      const resolve = waiting.shift();
      if (resolve !== undefined) void next().then(resolve);
    },
    unfinished: () => delivered.keys(),
    stream: {
      next,
      return: () => {
        end();
        return Promise.resolve({ done: true, value: undefined });
      },
      throw: (error) => {
        end();
        return Promise.reject(error instanceof Error ? error : new Error(String(error)));
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    },
  };
}
