import { setTimeout as pause } from 'node:timers/promises';
import type { Sandbox } from '../../sandbox/sandbox.js';
import { messageOf } from '../client/failure.js';
import { Api } from './api.js';
import type { Card } from './deck.js';
import type { Mischief } from './mischief.js';
import type { Random } from './random.js';
import { ServerProcess, type Folder } from './server-process.js';
import type { Story } from './story.js';
import type { Violations } from './violations.js';

/** What a life of the server takes place in. */
export interface Stage {
  readonly folder: Folder;
  readonly sandbox: Sandbox;
  readonly story: Story;
  readonly mischief: Mischief;
  readonly random: Random;
  readonly violations: Violations;
  readonly signal: AbortSignal;
}

const START_TIMEOUT_MS = 30_000;
/**
 * A server that listens and does not come by its point is killed all the same, after so much time and, where the machine
 * is busy, so many rounds of the story.
 */
const PATIENCE_MS = 2_500;
const PATIENCE_ROUNDS = 3;
const LONGEST_PATIENCE_MS = 12_000;
const LOOK_EVERY_MS = 100;
const ANY_TIME_WITHIN_MS = 900;
const STARTS_WITHIN_MS = 700;
/** A broken connection is noticed a moment before the end of the process. */
const END_IS_NOTICED_MS = 2_000;

/** One life of the server, from its start to the kill. @returns whether it died at the card's point. */
export async function live(stage: Stage, { point, nth }: Card): Promise<boolean> {
  const { folder, sandbox, random, violations, signal } = stage;
  const { trigger } = point;
  const hitsBefore = folder.recorded('HIT').length;
  const death = trigger.at === 'OUTSIDE' ? undefined : { point: point.name, nth };
  const server = new ServerProcess(folder, sandbox.host, death);
  let killed: 'at the point' | 'elsewhere' | undefined;
  const kill = async (where: typeof killed) => {
    // Had it ended by itself, that is not to be covered up.
    if (!server.gone.aborted) killed ??= where;
    await server.kill();
  };
  const killAfter = async (ms: number, where: typeof killed) => {
    // Called off when it is dead before.
    await pause(ms, undefined, { signal: server.gone }).then(
      () => kill(where),
      () => undefined,
    );
  };
  const stopListening = sandbox.on('call', ({ fault, batchId }) => {
    const isLost = fault === 'hang' && batchId !== undefined;
    if (isLost && trigger.at === 'OUTSIDE' && trigger.when === 'accepted') void kill('at the point');
  });
  const interrupt = () => void kill('elsewhere');
  signal.addEventListener('abort', interrupt, { once: true });
  const startTimer = setTimeout(() => {
    violations.add('the server starts', `It did not listen within ${START_TIMEOUT_MS / 1_000} s.`);
    void kill('elsewhere');
  }, START_TIMEOUT_MS);

  if (trigger.at === 'OUTSIDE' && trigger.when === 'starting') {
    void killAfter(random.whole(10, STARTS_WITHIN_MS), 'at the point');
  }
  if (trigger.at === 'OUTSIDE' && trigger.when === 'accepted') stage.mischief.loseReceipt(nth);
  const url = await server.url;
  clearTimeout(startTimer);
  if (url !== undefined) {
    if (trigger.at === 'OUTSIDE' && trigger.when === 'any time') {
      void killAfter(random.whole(0, ANY_TIME_WITHIN_MS), 'at the point');
    } else {
      void patience(stage.story, server).then(() => kill('elsewhere'));
    }
    await act(stage, server, url, point.scene);
  }
  await server.ended;
  stopListening();
  signal.removeEventListener('abort', interrupt);
  signal.throwIfAborted();
  const hit = folder.recorded('HIT').length > hitsBefore;
  for (const line of server.complaints) violations.add('the server logs no error', line);
  if (killed === undefined && !hit) {
    violations.add('the server lives until it is killed', `It ended by itself (${point.name}, ${nth}).`);
  }
  return hit || killed === 'at the point';
}

async function patience(story: Story, { gone }: ServerProcess): Promise<void> {
  const from = performance.now();
  const enough = story.rounds + PATIENCE_ROUNDS;
  const isOver = () => {
    const ms = performance.now() - from;
    return gone.aborted || ms > LONGEST_PATIENCE_MS || (ms > PATIENCE_MS && story.rounds >= enough);
  };
  while (!isOver()) await pause(LOOK_EVERY_MS);
}

/** Plays the story against a server until that is gone. */
async function act(
  stage: Stage,
  server: ServerProcess,
  url: string,
  scene: Card['point']['scene'],
): Promise<void> {
  const { story, violations, signal } = stage;
  const api = new Api({ url, token: server.token }, AbortSignal.any([signal, server.gone]));
  try {
    await story.perform(api, scene);
  } catch (error: unknown) {
    await Promise.race([server.ended, pause(END_IS_NOTICED_MS, undefined, { ref: false })]);
    if (server.gone.aborted) return;
    violations.add('the server does what it is asked', messageOf(error));
    await server.kill();
  }
}
