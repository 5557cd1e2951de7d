import { bareExportSeconds } from '../bare-loop.js';
import { perSecond, rounded, type Bench } from '../bench.js';
import { askMeanwhile } from '../open-loop.js';
import { crowd } from '../people.js';
import { NO_QUOTA, World } from '../world.js';

const RUNS = 20;
const FEW = 'A few';
const FEW_PEOPLE = 10;

const LOOP = {
  query: `{ exportRuns(first: ${RUNS}) {
    totalCount pageInfo { hasNextPage endCursor }
    nodes { id state phase startedAt finishedAt export { id name } progress {
      sequence percent ratePerMinute etaSeconds members skipped unchanged toSend
      accepted confirmed rejected unconfirmed notSent } } } }`,
  perSecond: 200,
  connections: 50,
};

export const whileBusy: Bench = {
  name: 'while-busy',
  about: `${LOOP.perSecond} queries a second on ${LOOP.connections} connections during first-run`,
  profiles: 1_000_000,

  goals: () => [
    { figure: 'queryP99Ms', atMost: 100 },
    { figure: 'queryErrors', exactly: 0 },
    { figure: 'profilesPerSecond', atLeast: 30_000 },
  ],

  async measure({ profiles, ids, databases, narrator, signal }) {
    await using world = await World.open({ databases, narrator, signal, timeScale: NO_QUOTA });
    await world.import(crowd(0, profiles, ids));
    await world.import(crowd(0, Math.min(FEW_PEOPLE, profiles), ids), FEW);
    await world.restartServer();
    const connectionId = await world.connectAccount();
    await fillThePage(world, connectionId);
    const exportId = await world.createExport(connectionId);
    const before = await world.record.lastCall();
    const { result, asked } = await askMeanwhile(world.server, { ...LOOP, signal }, () =>
      world.run(exportId),
    );
    const { requests, importerCalls } = await world.record.callsAfter(before);
    const peakRssMb = world.peakRssMb();
    const bareSeconds = await bareExportSeconds(crowd(0, profiles, ids));
    return {
      wallSeconds: rounded(result.seconds),
      profilesPerSecond: perSecond(profiles, result.seconds),
      requests,
      importerCalls,
      peakRssMb,
      ratioToBareLoop: rounded(result.seconds / bareSeconds),
      queries: asked.queries,
      queryErrors: asked.errors,
      queryP50Ms: asked.p50Ms,
      queryP99Ms: asked.p99Ms,
      queryMaxMs: asked.maxMs,
    };
  },
};

/** So that the page of runs that is asked for is full. */
async function fillThePage(world: World, connectionId: string): Promise<void> {
  const exportId = await world.createExport(connectionId, FEW);
  for (let run = 1; run < RUNS; run += 1) await world.run(exportId);
}
