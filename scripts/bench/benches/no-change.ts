import { perSecond, rounded, type Bench } from '../bench.js';
import { costOf } from '../cost.js';
import { crowd } from '../people.js';
import { NO_QUOTA, World } from '../world.js';

export const noChange: Bench = {
  name: 'no-change',
  about: 'the same run again: everybody is at the destination already',
  profiles: 1_000_000,

  goals: ({ database }) => [
    { figure: 'wallSeconds', atMost: database === 'sqlite' ? 10 : 20 },
    { figure: 'importerCalls', exactly: 0 },
  ],

  async measure({ profiles, ids, databases, narrator, signal }) {
    await using world = await World.open({ databases, narrator, signal, timeScale: NO_QUOTA });
    await world.import(crowd(0, profiles, ids));
    const exportId = await world.createExport(await world.connectAccount());
    await world.run(exportId);
    await world.restartServer();
    const before = await world.record.lastCall();
    const { result, cost } = await costOf(world, profiles, () => world.run(exportId));
    const { seconds } = result;
    const { requests, importerCalls } = await world.record.callsAfter(before);
    return {
      wallSeconds: rounded(seconds),
      profilesPerSecond: perSecond(profiles, seconds),
      requests,
      importerCalls,
      peakRssMb: world.peakRssMb(),
      ratioToBareLoop: null,
      ...cost,
    };
  },
};
