import { Agent, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { Webhook } from 'standardwebhooks';

/** A trigger as its caller knows it. */
export interface CalledTrigger {
  readonly url: string;
  readonly secret: string;
}

/** What became of one call. */
export interface Called {
  readonly id: string;
  /** A call with this id was made before. */
  readonly isRepeat: boolean;
  /** Milliseconds from the moment at which it was due. */
  readonly ms: number;
  /** Undefined: no answer came. */
  readonly status: number | undefined;
  readonly runId: string | undefined;
  readonly duplicate: boolean | undefined;
}

export interface CallLoopOptions {
  readonly perSecond: number;
  readonly seconds: number;
  /** The caller's names for its calls begin so. */
  readonly prefix: string;
  readonly connections: number;
  readonly signal: AbortSignal;
}

const TICK_MS = 2;
const TIMEOUT_MS = 30_000;
/** One call in a hundred is one of a second before. */
const REPEAT_EVERY = 100;

/** Calls a trigger at an even pace, whether answers come or not, and waits for the last of them. */
export async function callOnAndOn(trigger: CalledTrigger, options: CallLoopOptions): Promise<Called[]> {
  const { perSecond, seconds, prefix, connections, signal } = options;
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const total = perSecond * seconds;
  const calls: Promise<Called>[] = [];
  const startedAt = performance.now();
  try {
    while (calls.length < total) {
      const due = ((performance.now() - startedAt) / 1_000) * perSecond;
      while (calls.length < Math.min(due, total)) {
        const nth = calls.length;
        const isRepeat = nth >= perSecond && nth % REPEAT_EVERY === REPEAT_EVERY - 1;
        const id = `${prefix}-${isRepeat ? nth - perSecond + 1 : nth}`;
        const dueAt = startedAt + (nth / perSecond) * 1_000;
        calls.push(
          callOnce(trigger, agent, id).then((answer) => ({
            id,
            isRepeat,
            ms: performance.now() - dueAt,
            ...answer,
          })),
        );
      }
      await pause(TICK_MS, undefined, { signal });
    }
    return await Promise.all(calls);
  } finally {
    agent.destroy();
  }
}

/** Calls a trigger once, signed by the package `standardwebhooks`. */
export function callOnce(
  { url, secret }: CalledTrigger,
  agent: Agent,
  id: string,
): Promise<Pick<Called, 'status' | 'runId' | 'duplicate'>> {
  const body = '{}';
  const now = new Date();
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(now.getTime() / 1_000)),
    'webhook-signature': new Webhook(secret).sign(id, now, body),
  };
  return new Promise((resolve) => {
    const nothing = { status: undefined, runId: undefined, duplicate: undefined };
    const called = request(url, { agent, method: 'POST', timeout: TIMEOUT_MS, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', () => {
        resolve(nothing);
      });
      response.on('end', () => {
        const answer = JSON.parse(Buffer.concat(chunks).toString()) as {
          runId?: string;
          duplicate?: boolean;
        };
        resolve({ status: response.statusCode, runId: answer.runId, duplicate: answer.duplicate });
      });
    });
    called.on('error', () => {
      resolve(nothing);
    });
    called.on('timeout', () => called.destroy());
    called.end(body);
  });
}
