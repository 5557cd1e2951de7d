import { bareImportSeconds } from '../bare-loop.js';
import { perSecond, rounded, type Bench } from '../bench.js';
import { askMeanwhile } from '../open-loop.js';
import { crowd, csvOf } from '../people.js';
import { NO_QUOTA, World } from '../world.js';

/** Asked of the server while it imports. */
const PROBE = {
  query: '{ profileCount segments(first: 20) { nodes { id name memberCount } } }',
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

  async measure({ profiles, ids, narrator, signal }) {
    await using world = await World.open({ narrator, signal, timeScale: NO_QUOTA });
    const startedAt = performance.now();
    const { asked } = await askMeanwhile(world.server, { ...PROBE, signal }, () =>
      world.import(crowd(0, profiles, ids)),
    );
    const wallSeconds = (performance.now() - startedAt) / 1_000;
    const peakRssMb = world.peakRssMb();
    const bareSeconds = await bareImportSeconds(csvOf(crowd(0, profiles, ids)));
    return {
      wallSeconds: rounded(wallSeconds),
      rowsPerSecond: perSecond(profiles, wallSeconds),
      requests: null,
      importerCalls: null,
      peakRssMb,
      ratioToBareLoop: rounded(wallSeconds / bareSeconds),
      probeQueries: asked.queries,
      probeErrors: asked.errors,
      probeP99Ms: asked.p99Ms,
      probeMaxMs: asked.maxMs,
    };
  },
};
