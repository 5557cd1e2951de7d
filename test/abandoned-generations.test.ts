import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import 'reflect-metadata';
import { generationLane } from '../src/lanes.js';
import { createLogger } from '../src/logger.js';
import { addMembers, beginGeneration, createSweep, keepAlive } from '../src/profiles/generations.js';
import { swapGeneration } from '../src/profiles/swap.js';
import { openIn, removeFolder } from './helpers/databases.js';
import { createManualClock } from './helpers/manual-clock.js';

const HOUR_MS = 60 * 60_000;

/** Generations on a clock that moves when it is told to, as several processes share them. */
async function openGenerations() {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-generations-'));
  const database = await openIn(folder);
  const clock = createManualClock();
  const services = {
    database,
    clock,
    logger: createLogger('silent'),
    pinnedGenerations: () => Promise.resolve([]),
  };
  return {
    services,
    clock,
    fill: async (...ids: string[]) => {
      const generation = await beginGeneration(services);
      await database.transact(({ manager }) => addMembers(manager, generation, JSON.stringify(ids)));
      return generation;
    },
    /** Waits for what was begun for the generation. */
    written: (generation: number) => database.transact(() => Promise.resolve(), generationLane(generation)),
    left: async () => {
      const rows = await database.reader.query<{ id: number }[]>('SELECT "id" FROM "segment_generations"');
      const members = await database.reader.query<unknown[]>('SELECT 1 FROM "segment_members"');
      return { generations: rows.map(({ id }) => id), members: members.length };
    },
    [Symbol.asyncDispose]: async () => {
      await database.close();
      await removeFolder(folder);
    },
  };
}

describe('a generation that somebody began to fill', () => {
  it('is removed once there was no sign of life for an hour, whichever process looks', async () => {
    await using world = await openGenerations();
    await world.fill('1', '2');
    await world.clock.pass(HOUR_MS / 2);
    await createSweep(world.services)();
    expect((await world.left()).members).toBe(2);
    await world.clock.pass(HOUR_MS);
    await createSweep(world.services)();
    expect(await world.left()).toEqual({ generations: [], members: 0 });
  });

  it('stays while its file comes slowly, however long nothing can be stored', async () => {
    await using world = await openGenerations();
    const sweep = createSweep(world.services);
    const generation = await world.fill('1');
    const filled = new AbortController();
    const alive = keepAlive(world.services, generation, filled.signal);
    for (let minutes = 0; minutes < 180; minutes += 10) {
      await world.clock.pass(10 * 60_000);
      await world.written(generation);
      await sweep();
    }
    expect(await world.left()).toEqual({ generations: [generation], members: 1 });
    filled.abort(new Error('done'));
    await alive;
  });

  it('stays when the clock is put forward by hours, or the machine was suspended', async () => {
    await using world = await openGenerations();
    const sweep = createSweep(world.services);
    const generation = await world.fill('1');
    const filled = new AbortController();
    const alive = keepAlive(world.services, generation, filled.signal);
    world.clock.set(5 * HOUR_MS);
    await sweep();
    for (let minutes = 0; minutes < 120; minutes += 10) {
      await world.clock.pass(10 * 60_000);
      await world.written(generation);
      if (minutes % 60 === 0) await sweep();
    }
    expect((await world.left()).members).toBe(1);
    filled.abort(new Error('done'));
    await alive;
    await world.clock.pass(2 * HOUR_MS);
    await sweep();
    expect((await world.left()).members).toBe(0);
  });

  it('is nobody’s once it was given up, also while it is being removed', async () => {
    await using world = await openGenerations();
    const { services } = world;
    const generation = await world.fill('1', '2');
    await world.clock.pass(2 * HOUR_MS);
    // What is pinned is not removed: as if the sweep had not come to it yet.
    await createSweep({ ...services, pinnedGenerations: () => Promise.resolve([generation]) })();
    expect((await world.left()).members).toBe(2);
    await expect(swapGeneration(services, { name: 'all', generation })).rejects.toThrow(/was removed/);
  });
});
