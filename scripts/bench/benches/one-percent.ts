import { bareExportSeconds } from '../bare-loop.js';
import { perSecond, rounded, type Bench } from '../bench.js';
import { crowd, personOf, type IdOrder, type Person } from '../people.js';
import { NO_QUOTA, World } from '../world.js';

const HUNDRED = 100;
const CONTACTS_PER_CALL = 250;

export const onePercent: Bench = {
  name: 'one-percent',
  about: '1 % changed, 1 % joined and 1 % left since the run before; who left is taken off the list',
  profiles: 1_000_000,

  goals: ({ profiles }) => [
    { figure: 'wallSeconds', atMost: 15 },
    { figure: 'importerCalls', exactly: Math.ceil((3 * onePercentOf(profiles)) / CONTACTS_PER_CALL) },
  ],

  async measure({ profiles, ids, databases, narrator, signal }) {
    await using world = await World.open({ databases, narrator, signal, timeScale: NO_QUOTA });
    await world.import(crowd(0, profiles, ids));
    const leavers = { leavers: 'UNSUBSCRIBE' };
    const exportId = await world.createExport(await world.connectAccount(), undefined, leavers);
    await world.run(exportId);
    await world.import(laterCrowd(profiles, ids));
    await world.restartServer();
    const before = await world.record.lastCall();
    const { seconds } = await world.run(exportId);
    const { requests, importerCalls } = await world.record.callsAfter(before);
    const peakRssMb = world.peakRssMb();
    const bareSeconds = await bareExportSeconds(crowd(0, 3 * onePercentOf(profiles), ids));
    return {
      wallSeconds: rounded(seconds),
      profilesPerSecond: perSecond(profiles, seconds),
      requests,
      importerCalls,
      peakRssMb,
      ratioToBareLoop: rounded(seconds / bareSeconds),
    };
  },
};

function onePercentOf(profiles: number): number {
  return Math.floor(profiles / HUNDRED);
}

/** Of each hundred one has another name and one has gone; as many newcomers stand behind them. */
function* laterCrowd(profiles: number, ids: IdOrder): Generator<Person> {
  const inHundreds = onePercentOf(profiles) * HUNDRED;
  for (let number = 0; number < profiles; number += 1) {
    const place = number < inHundreds ? number % HUNDRED : -1;
    if (place !== 1) yield personOf(number, { ids, renamed: place === 0 });
  }
  yield* crowd(profiles, profiles + onePercentOf(profiles), ids);
}
