import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { bareImportSeconds } from '../bare-loop.js';
import { perSecond, rounded, type Bench } from '../bench.js';
import { askMeanwhile } from '../open-loop.js';
import { crowd, csvOf } from '../people.js';
import { NO_QUOTA, World } from '../world.js';

/** Asked of the server while it imports. */
const PROBE = {
  query: `{
    segments(first: 20) { totalCount nodes { id name state memberCount } }
    exportRuns(first: 20) { totalCount nodes { id state } } }`,
  perSecond: 10,
  connections: 4,
};

export const importBench: Bench = {
  name: 'import',
  about: 'rows of CSV, streamed into a segment while the server is asked ten times a second',
  profiles: 1_000_000,

  goals: ({ ids }) => [
    { figure: 'rowsPerSecond', atLeast: ids === 'ordered' ? 60_000 : 40_000 },
    { figure: 'peakRssMb', atMost: 250 },
    { figure: 'probeErrors', exactly: 0 },
  ],

  async measure({ profiles, ids, databases, narrator, signal }) {
    await using world = await World.open({ databases, narrator, signal, timeScale: NO_QUOTA });
    // Made beforehand: making up people takes as long as sending them.
    const path = join(world.folder, 'people.csv');
    await pipeline(csvOf(crowd(0, profiles, ids)), createWriteStream(path));
    const startedAt = performance.now();
    const probe = { ...PROBE, signal };
    const { asked } = await askMeanwhile(world.server, probe, () => world.importCsv(createReadStream(path)));
    const wallSeconds = (performance.now() - startedAt) / 1_000;
    const peakRssMb = world.peakRssMb();
    const bareSeconds = await bareImportSeconds(createReadStream(path));
    return {
      wallSeconds: rounded(wallSeconds),
      rowsPerSecond: perSecond(profiles, wallSeconds),
      requests: null,
      importerCalls: null,
      peakRssMb,
      ratioToBareLoop: rounded(wallSeconds / bareSeconds),
      probeQueries: asked.queries,
      probeErrors: asked.errors,
      probeP50Ms: asked.p50Ms,
      probeP99Ms: asked.p99Ms,
      probeMaxMs: asked.maxMs,
    };
  },
};
