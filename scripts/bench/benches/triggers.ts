import { Agent } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { rounded, type Bench } from '../bench.js';
import { callOnAndOn, callOnce, type Called, type CalledTrigger } from '../call-loop.js';
import { crowd } from '../people.js';
import { NO_QUOTA, World } from '../world.js';

const PER_SECOND = 100;
const SECONDS = 60;
/** The second time, the server is killed in the middle. */
const SECONDS_WITH_KILL = 10;
const CONNECTIONS = 50;

export const triggers: Bench = {
  name: 'triggers',
  about: `${PER_SECOND} signed calls a second for ${SECONDS} s, 1 % of them repeated; then the server is killed during calls`,
  profiles: 100,

  goals: () => [
    { figure: 'callP99Ms', atMost: 500 },
    { figure: 'callErrors', exactly: 0 },
    { figure: 'wrongRepeats', exactly: 0 },
    { figure: 'lostAfterKill', exactly: 0 },
  ],

  async measure({ profiles, ids, databases, narrator, signal }) {
    await using world = await World.open({ databases, narrator, signal, timeScale: NO_QUOTA });
    await world.import(crowd(0, profiles, ids));
    const exportId = await world.createExport(await world.connectAccount());
    const trigger = await createTrigger(world, exportId);
    const options = { perSecond: PER_SECOND, connections: CONNECTIONS, signal };
    const startedAt = performance.now();
    const calls = await callOnAndOn(trigger(), { ...options, seconds: SECONDS, prefix: 'steady' });
    const wallSeconds = (performance.now() - startedAt) / 1_000;
    const peakRssMb = world.peakRssMb();

    narrator.step('the server is killed in the middle of calls');
    const calling = callOnAndOn(trigger(), { ...options, seconds: SECONDS_WITH_KILL, prefix: 'killed' });
    const killing = pause((SECONDS_WITH_KILL / 2) * 1_000, undefined, { signal }).then(() =>
      world.killServer(),
    );
    const [callsWithKill] = await Promise.all([calling, killing]);
    await world.restartServer();
    const answered = [...calls, ...callsWithKill].filter(({ status }) => status === 202);
    const latencies = calls.map(({ ms }) => ms).sort((a, b) => a - b);
    const at = (share: number) => Math.round(latencies[Math.ceil(latencies.length * share) - 1] ?? 0);
    return {
      wallSeconds: rounded(wallSeconds),
      requests: null,
      importerCalls: null,
      peakRssMb,
      ratioToBareLoop: null,
      calls: calls.length,
      repeats: calls.filter(({ isRepeat }) => isRepeat).length,
      runsStarted: new Set(calls.map(({ runId }) => runId)).size,
      callErrors: calls.filter(({ status }) => status !== 202).length,
      wrongRepeats: wrongRepeats(calls),
      callP50Ms: at(0.5),
      callP99Ms: at(0.99),
      callMaxMs: at(1),
      answeredBeforeKill: callsWithKill.filter(({ status }) => status === 202).length,
      lostAfterKill: await countLost(world, trigger(), answered),
    };
  },
};

/** @returns the trigger at the address that the server has at the moment. */
async function createTrigger(world: World, exportId: string): Promise<() => CalledTrigger> {
  const { createTrigger: made } = await world.client.query<{
    createTrigger: { trigger: { path: string }; secret: string };
  }>('mutation ($id: ID!) { createTrigger(exportId: $id, name: "Bench") { trigger { path } secret } }', {
    id: exportId,
  });
  return () => ({ url: `${world.server.url}${made.trigger.path}`, secret: made.secret });
}

/** Repetitions that did not get the run of the call that they repeat. */
function wrongRepeats(calls: readonly Called[]): number {
  const runs = new Map(calls.filter(({ isRepeat }) => !isRepeat).map(({ id, runId }) => [id, runId]));
  return calls.filter(
    ({ id, isRepeat, runId, duplicate }) => isRepeat && (runs.get(id) !== runId || duplicate !== true),
  ).length;
}

/** Calls that were answered, and whose run is not there, or that are not known any more when they come again. */
async function countLost(world: World, trigger: CalledTrigger, answered: readonly Called[]): Promise<number> {
  const there = new Map<string, boolean>();
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  let lost = 0;
  for (const { id, runId = '' } of answered) {
    if (!there.has(runId)) there.set(runId, await isThere(world, runId));
    const isOfTheKill = id.startsWith('killed');
    const again = isOfTheKill ? await callOnce(trigger, agent, id) : { runId, duplicate: true };
    if (!there.get(runId) || again.runId !== runId || !again.duplicate) lost += 1;
  }
  agent.destroy();
  return lost;
}

async function isThere(world: World, id: string): Promise<boolean> {
  const { exportRun } = await world.client.query<{ exportRun: { trigger: string } }>(
    'query ($id: ID!) { exportRun(id: $id) { trigger } }',
    { id },
  );
  return exportRun.trigger === 'WEBHOOK';
}
