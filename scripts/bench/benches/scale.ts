import { SILENT_NARRATOR } from '../../demo/narrator.js';
import { perSecond, rounded, type Bench } from '../bench.js';
import { costOf } from '../cost.js';
import { crowd } from '../people.js';
import { postgresFigures } from '../postgres-figures.js';
import { NO_QUOTA, World } from '../world.js';

/** Runs that are under way at the same time, of one account. */
const AT_ONCE = 10;

export const scale: Bench = {
  name: 'scale',
  about:
    'first runs of several exports (--exports) of the same people, each to a list of its own, ten at once',
  profiles: 100_000,

  goals: () => [],

  async measure({ profiles, exports, ids, databases, narrator, signal }) {
    await using world = await World.open({
      ...{ databases, narrator: SILENT_NARRATOR, signal, timeScale: NO_QUOTA, lists: exports },
    });
    await world.import(crowd(0, profiles, ids));
    await world.restartServer();
    const connectionId = await world.connectAccount();
    const sent = profiles * exports;
    const waiting: string[] = [];
    for (let list = 1; list <= exports; list += 1) {
      const more = { name: `Export ${list}`, listId: String(list) };
      waiting.push(await world.createExport(connectionId, undefined, more));
    }
    const startedAt = performance.now();
    const runOneAfterTheOther = async () => {
      for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
        await world.run(id);
        narrator.step(`${exports - waiting.length} of ${exports} exports begun, one more ended`);
      }
    };
    const { cost } = await costOf(world, sent, () =>
      Promise.all(Array.from({ length: Math.min(AT_ONCE, exports) }, runOneAfterTheOther)),
    );
    const wallSeconds = (performance.now() - startedAt) / 1_000;
    const after = await postgresFigures(world.databaseUrl);
    const each = (bytes: number | undefined, rows: number) =>
      bytes === undefined ? null : Math.round(bytes / rows);
    return {
      wallSeconds: rounded(wallSeconds),
      exports,
      profilesPerSecond: perSecond(sent, wallSeconds),
      requests: null,
      importerCalls: null,
      peakRssMb: world.peakRssMb(),
      ratioToBareLoop: null,
      ...cost,
      bytesForALedgerEntry: each(after?.ledgerBytes, sent),
      bytesForAMember: each(after?.memberBytes, profiles),
      bytesForAProfile: each(after?.profileBytes, profiles),
      shareOfHotUpdates: after ? rounded(after.hotUpdates / Math.max(1, after.ledgerUpdates)) : null,
      connections: after?.connections ?? null,
    };
  },
};
