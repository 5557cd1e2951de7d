import { startSandbox, type Sandbox } from '../../sandbox/sandbox.js';
import { Api } from './api.js';
import { auditQuietRun, auditRuns, auditSegments } from './audit.js';
import { auditDatabase } from './audit-database.js';
import { deal, dealAgain, type Card } from './deck.js';
import { judgeConduct, judgeSandbox, requestsWithoutProof } from './judge.js';
import { live, type Stage } from './life.js';
import { Mischief } from './mischief.js';
import type { ChaosOptions } from './options.js';
import { OverlapWatcher } from './overlaps.js';
import { ANY_TIME } from './points.js';
import { Random } from './random.js';
import type { Result } from './result.js';
import { ServerProcess, TIME_SCALE, type Folder } from './server-process.js';
import { Story } from './story.js';
import { Violations } from './violations.js';
import { keyOf, LISTS, World } from './world.js';

/**
 * Lateness on the wire that the sandbox forgives, in real ms: this machine also runs the story and may be busy. Floods
 * are noticed all the same.
 */
const JITTER_MS = 8;

/** Tells how far it is. */
export type OnProgress = (done: number, total: number, note: string) => void;

/** The whole story: lives that end in kills, one that ends in peace, and the judgement. */
export async function tellStory(
  folder: Folder,
  { kills, seed }: ChaosOptions,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<Result> {
  const startedAt = performance.now();
  const random = new Random(seed);
  const violations = new Violations();
  const sandbox = await startSandbox({ lists: LISTS, timeScale: TIME_SCALE, jitterMs: JITTER_MS });
  try {
    const world = new World(new Random(random.whole(0, 1_000_000_000)));
    const mischief = new Mischief(sandbox, world, random);
    const story = new Story(sandbox, world, mischief, random);
    const overlaps = new OverlapWatcher(sandbox, folder);
    const stage: Stage = { folder, sandbox, story, mischief, random, violations, signal };
    const { byPoint, lives } = await kill(stage, deal(kills, random), overlaps, onProgress);
    const killsTookMs = performance.now() - startedAt;
    onProgress(lives, lives, 'the last clean runs, and the judgement');
    const end = await conclude(stage, world);
    overlaps.judge(violations);
    overlaps.judgeReceipts(violations);
    judgeConduct(sandbox, violations);
    const { batches, calls, faults } = sandbox.summary();
    return {
      seed,
      kills: lives,
      dealt: kills,
      byPoint,
      restarts: lives + end.starts,
      runs: end.runs,
      takenUpAgain: end.takenUpAgain,
      destination: { calls, batches: batches.total, contactsSent: batches.contacts, faults: faults.struck },
      excusedOverlaps: overlaps.excused,
      reportedInDoubt: end.reportedInDoubt,
      msForEachKill: Math.round(killsTookMs / lives),
      tookMs: Math.round(performance.now() - startedAt),
      violations: violations.list(),
      folder: violations.count === 0 ? null : folder.path,
    };
  } finally {
    await sandbox.close();
  }
}

/** Plays the cards. A card whose point was not come by counts as a kill at any time, and is dealt once more. */
async function kill(
  stage: Stage,
  cards: Card[],
  overlaps: OverlapWatcher,
  onProgress: OnProgress,
): Promise<{ byPoint: Record<string, number>; lives: number }> {
  const byPoint: Record<string, number> = Object.fromEntries(cards.map(({ point }) => [point.name, 0]));
  let lives = 0;
  for (let card = cards.shift(); card !== undefined; card = cards.shift()) {
    const { point } = card;
    onProgress(lives, lives + cards.length + 1, point.name);
    if (stage.story.isSetUp) await stage.mischief.arrange(lives, point);
    const hit = await live(stage, card);
    overlaps.noteDeath();
    overlaps.judge(stage.violations);
    lives += 1;
    const name = hit ? point.name : ANY_TIME.name;
    byPoint[name] = (byPoint[name] ?? 0) + 1;
    const again = hit ? undefined : dealAgain(card);
    if (again !== undefined) cards.unshift(again);
  }
  for (const [name, hits] of Object.entries(byPoint)) {
    if (hits === 0) stage.violations.add('every point is hit', name);
  }
  return { byPoint, lives };
}

interface End {
  readonly starts: number;
  readonly runs: Readonly<Record<string, number>>;
  readonly takenUpAgain: number;
  readonly reportedInDoubt: number;
}

/**
 * A last life without faults: what is unfinished ends, and every export runs once, as in a refresh, before the sandbox is
 * judged. Then every export runs once more, with nothing left to do, and the server stops politely.
 */
async function conclude(stage: Stage, world: World): Promise<End> {
  const { folder, sandbox, story, mischief, violations, signal } = stage;
  await mischief.end();
  const server = new ServerProcess(folder, sandbox.host);
  const url = await server.url;
  if (url === undefined) throw new Error(`The server did not start: ${server.complaints.join('\n')}`);
  const api = new Api({ url, token: server.token }, AbortSignal.any([signal, server.gone]));
  await story.catchUp(api);
  if (!(await story.untilSettled(api)))
    violations.add('every run comes to an end', 'some have not, in three minutes');
  // What an old run left undecided at the destination is done before the clean runs send anything.
  await mischief.end();
  const reportedOptOuts = await optOutsOf(api, await story.runAll(api));
  const knowsLeavers = await api.knowsLeavers();
  const verdict = judgeSandbox(sandbox, world, { knowsLeavers, reportedOptOuts }, violations);
  const quiet = await story.runAll(api);
  const runs = await api.runs();
  auditRuns(runs, story, violations);
  for (const run of runs) if (quiet.get(run.export.name) === run.id) auditQuietRun(run, verdict, violations);
  await auditSegments(api, world, violations);
  await stopPolitely(server, violations);
  await startOnceMore(folder, sandbox, violations);
  await auditDatabase(folder.databaseUrl, requestsWithoutProof(sandbox), violations);
  const states = Map.groupBy(runs, ({ state }) => state);
  return {
    starts: 2,
    runs: Object.fromEntries([...states].map(([state, some]) => [state, some.length])),
    takenUpAgain: runs.filter(({ attempt }) => attempt > 1).length,
    reportedInDoubt: verdict.reportedInDoubt,
  };
}

/** `export key` of whom these runs reported as having opted out. */
async function optOutsOf(api: Api, runs: ReadonlyMap<string, string>): Promise<Set<string>> {
  const reported = new Set<string>();
  for (const [name, id] of runs) {
    for (const { email, reason } of await api.rejections(id)) {
      if (reason === 'OPTED_OUT') reported.add(`${name} ${keyOf(email ?? '')}`);
    }
  }
  return reported;
}

/** A start clears away what the one before could not. */
async function startOnceMore(folder: Folder, sandbox: Sandbox, violations: Violations): Promise<void> {
  const server = new ServerProcess(folder, sandbox.host);
  await server.url;
  await stopPolitely(server, violations);
}

async function stopPolitely(server: ServerProcess, violations: Violations): Promise<void> {
  const code = await server.stop();
  if (code !== 0) violations.add('the server stops politely', `exit code ${String(code)}`);
  for (const line of server.complaints) violations.add('the server logs no error', line);
}
