import { bareExportSeconds } from '../bare-loop.js';
import { perSecond, rounded, type Bench, type Setting } from '../bench.js';
import { costOf } from '../cost.js';
import { crowd } from '../people.js';
import { NO_QUOTA, World } from '../world.js';

/** The run whose memory this one's is compared with has so many times fewer profiles. */
const SMALLER = 10;

export const firstRun: Bench = {
  name: 'first-run',
  about: 'the first run of an export, without quota',
  profiles: 1_000_000,

  goals: ({ database }) => [
    { figure: 'profilesPerSecond', atLeast: database === 'sqlite' ? 50_000 : 20_000 },
    { figure: 'peakRssMb', atMost: 300 },
    { figure: 'peakRssToSmaller', atMost: 1.3 },
  ],

  async measure(setting) {
    const { profiles, ids } = setting;
    const smaller = await runOnce({ ...setting, profiles: Math.ceil(profiles / SMALLER) });
    const { seconds, cost, peakRssMb, calls } = await runOnce(setting);
    const bareSeconds = await bareExportSeconds(crowd(0, profiles, ids));
    const { requests, importerCalls } = calls;
    return {
      wallSeconds: rounded(seconds),
      profilesPerSecond: perSecond(profiles, seconds),
      requests,
      importerCalls,
      peakRssMb,
      smallerPeakRssMb: smaller.peakRssMb,
      peakRssToSmaller:
        peakRssMb === null || smaller.peakRssMb === null ? null : rounded(peakRssMb / smaller.peakRssMb),
      ratioToBareLoop: rounded(seconds / bareSeconds),
      ...cost,
    };
  },
};

/** The server is another process than the one that imported: its memory is that of the run. */
async function runOnce({ profiles, ids, databases, narrator, signal }: Setting) {
  await using world = await World.open({ databases, narrator, signal, timeScale: NO_QUOTA });
  await world.import(crowd(0, profiles, ids));
  await world.restartServer();
  const exportId = await world.createExport(await world.connectAccount());
  const before = await world.record.lastCall();
  const { result, cost } = await costOf(world, profiles, () => world.run(exportId));
  const { seconds } = result;
  return { seconds, cost, peakRssMb: world.peakRssMb(), calls: await world.record.callsAfter(before) };
}
