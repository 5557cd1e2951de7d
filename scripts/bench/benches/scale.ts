import { SILENT_NARRATOR } from '../../demo/narrator.js';
import { perSecond, rounded, type Bench } from '../bench.js';
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
    const waiting: string[] = [];
    for (let list = 1; list <= exports; list += 1) {
      const more = { name: `Export ${list}`, listId: String(list) };
      waiting.push(await world.createExport(connectionId, undefined, more));
    }
    const [before, cpuBefore] = [await postgresFigures(world.databaseUrl), world.cpuSeconds()];
    const startedAt = performance.now();
    const runOneAfterTheOther = async () => {
      for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
        await world.run(id);
        narrator.step(`${exports - waiting.length} of ${exports} exports begun, one more ended`);
      }
    };
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, exports) }, runOneAfterTheOther));
    const wallSeconds = (performance.now() - startedAt) / 1_000;
    const [after, cpuAfter] = [await postgresFigures(world.databaseUrl), world.cpuSeconds()];
    const sent = profiles * exports;
    const microseconds = (from: number | null | undefined, to: number | null | undefined) =>
      typeof from === 'number' && typeof to === 'number' ? rounded(((to - from) * 1e6) / sent) : null;
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
      serverCpuMicrosecondsEach: microseconds(cpuBefore, cpuAfter),
      postgresCpuMicrosecondsEach: microseconds(before?.cpuSeconds, after?.cpuSeconds),
      walBytesEach: before && after ? each(after.walBytes - before.walBytes, sent) : null,
      bytesForALedgerEntry: each(after?.ledgerBytes, sent),
      bytesForAMember: each(after?.memberBytes, profiles),
      bytesForAProfile: each(after?.profileBytes, profiles),
      shareOfHotUpdates: after ? rounded(after.hotUpdates / Math.max(1, after.ledgerUpdates)) : null,
      connections: after?.connections ?? null,
    };
  },
};
