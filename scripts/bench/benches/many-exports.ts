import { setTimeout as pause } from 'node:timers/promises';
import { Failure } from '../../client/failure.js';
import { SILENT_NARRATOR } from '../../demo/narrator.js';
import { rounded, type Bench, type Setting } from '../bench.js';
import { crowd } from '../people.js';
import { NO_QUOTA, World } from '../world.js';

/** Exports that are made at the same time. */
const MADE_AT_ONCE = 4;
const LOOK_MS = 500;

export const queueMany: Bench = {
  name: 'queue-many',
  about:
    'runAllExports for many exports (--exports) to lists of their own: while nothing runs, and while those runs are at work',
  profiles: 100,
  exports: 1_000,

  goals: () => [
    { figure: 'queueSeconds', atMost: 2 },
    { figure: 'queueWhileBusySeconds', atMost: 2 },
  ],

  async measure(setting) {
    await using world = await openWith(setting);
    const startedAt = performance.now();
    const queueSeconds = await runAll(world, setting.exports);
    // Most of the runs are queued still, some are at work: these are joined, for those one more is queued.
    const queueWhileBusySeconds = await runAll(world, setting.exports);
    await untilIdle(world, setting);
    return {
      wallSeconds: rounded((performance.now() - startedAt) / 1_000),
      exports: setting.exports,
      queueSeconds,
      queueWhileBusySeconds,
      requests: null,
      importerCalls: null,
      peakRssMb: world.peakRssMb(),
      ratioToBareLoop: null,
    };
  },
};

export const prepareMany: Bench = {
  name: 'prepare-many',
  about:
    'first runs of many exports (--exports) of the same people, each to a list of its own, all queued at once',
  profiles: 60_000,
  exports: 50,

  goals: () => [{ figure: 'peakRssMb', atMost: 400 }],

  async measure(setting) {
    await using world = await openWith(setting);
    const startedAt = performance.now();
    const queueSeconds = await runAll(world, setting.exports);
    await untilIdle(world, setting);
    const wallSeconds = (performance.now() - startedAt) / 1_000;
    return {
      wallSeconds: rounded(wallSeconds),
      exports: setting.exports,
      queueSeconds,
      profilesPerSecond: Math.round((setting.profiles * setting.exports) / wallSeconds),
      requests: null,
      importerCalls: null,
      peakRssMb: world.peakRssMb(),
      ratioToBareLoop: null,
    };
  },
};

/** A world with so many exports of the same people; the server is started anew, so that its memory is that of the runs. */
async function openWith({ profiles, exports, ids, databases, signal }: Setting): Promise<World> {
  const world = await World.open({
    ...{ databases, narrator: SILENT_NARRATOR, signal, timeScale: NO_QUOTA, lists: exports },
  });
  try {
    await world.import(crowd(0, profiles, ids));
    const connectionId = await world.connectAccount();
    let made = 0;
    const make = async () => {
      while (made < exports) {
        made += 1;
        const more = { name: `Export ${made}`, listId: String(made) };
        await world.createExport(connectionId, undefined, more);
      }
    };
    await Promise.all(Array.from({ length: MADE_AT_ONCE }, make));
    await world.restartServer();
    return world;
  } catch (error: unknown) {
    await world[Symbol.asyncDispose]();
    throw error;
  }
}

/** @returns the seconds from the request to its answer. */
async function runAll(world: World, exports: number): Promise<number> {
  const startedAt = performance.now();
  const { runAllExports } = await world.client.query<{ runAllExports: readonly { id: string }[] }>(
    'mutation { runAllExports { id } }',
  );
  const seconds = rounded((performance.now() - startedAt) / 1_000);
  if (runAllExports.length === exports) return seconds;
  throw new Failure(`${runAllExports.length} runs were queued instead of ${exports}.`);
}

async function untilIdle(world: World, { narrator, signal }: Setting): Promise<void> {
  for (;;) {
    const { queued, running, failed } = await world.client.query<
      Record<'queued' | 'running' | 'failed', Page>
    >(
      `{ queued: exportRuns(state: QUEUED, first: 1) { nodes { id } } running: exportRuns(state: RUNNING, first: 1) { nodes { id } }
        failed: exportRuns(state: FAILED, first: 1) { nodes { id } } }`,
    );
    if (failed.nodes.length > 0) throw new Failure('A run ended FAILED.');
    if (queued.nodes.length + running.nodes.length === 0) return;
    const what = queued.nodes.length > 0 ? 'runs are queued and at work' : 'the last runs are at work';
    narrator.step(`${what}; peak RSS ${world.peakRssMb() ?? '?'} MB`);
    await pause(LOOK_MS, undefined, { signal });
  }
}

interface Page {
  readonly nodes: readonly { readonly id: string }[];
}
