import { bareExportSeconds } from '../bare-loop.js';
import { perSecond, rounded, type Bench } from '../bench.js';
import { costOf } from '../cost.js';
import { crowd } from '../people.js';
import { World } from '../world.js';

/** Faster, a late millisecond on the wire would be 20 of the destination's. */
const TIME_SCALE = 20;
/** The importer takes 100 calls a minute. */
const PACE_MS = 600;

export const realLimits: Bench = {
  name: 'real-limits',
  about: "a first run under the destination's true quotas, its clock 20 times as fast",
  profiles: 100_000,

  goals: () => [
    { figure: 'shareOfPace', atLeast: 0.98 },
    { figure: 'refusals', exactly: 0 },
  ],

  async measure({ profiles, ids, databases, narrator, signal }) {
    await using world = await World.open({ databases, narrator, signal, timeScale: TIME_SCALE });
    await world.import(crowd(0, profiles, ids));
    await world.restartServer();
    const exportId = await world.createExport(await world.connectAccount());
    const before = await world.record.lastCall();
    const { result, cost } = await costOf(world, profiles, () => world.run(exportId));
    const { seconds } = result;
    const { requests, importerCalls, refusals } = await world.record.callsAfter(before);
    const accepted = await world.record.acceptances();
    const peakRssMb = world.peakRssMb();
    const bareSeconds = await bareExportSeconds(crowd(0, profiles, ids));
    return {
      wallSeconds: rounded(seconds),
      profilesPerSecond: perSecond(profiles, seconds),
      requests,
      importerCalls,
      peakRssMb,
      ratioToBareLoop: rounded(seconds / bareSeconds),
      shareOfPace: rounded(shareOfPace(accepted), 4),
      refusals,
      ...cost,
    };
  },
};

/** How long the batches had to take, in parts of how long they took; in the destination's time. */
function shareOfPace(accepted: readonly number[]): number {
  const [first = 0, last = 0] = [accepted[0], accepted.at(-1)];
  return (accepted.length * PACE_MS) / (last - first);
}
