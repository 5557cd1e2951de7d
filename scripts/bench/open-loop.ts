import { Agent, request } from 'node:http';
import { aborted } from '../client/interruption.js';
import type { Server } from '../client/upload.js';

export interface OpenLoopFigures {
  readonly queries: number;
  readonly errors: number;
  /** Milliseconds from the moment at which the query was due. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface OpenLoopOptions {
  readonly query: string;
  readonly perSecond: number;
  readonly connections: number;
  /** Ends the waiting for answers. */
  readonly signal: AbortSignal;
}

const TIMEOUT_MS = 30_000;
const TICK_MS = 2;

/**
 * Asks at an even pace while `work` is under way, whether answers come or not, and takes the time from the moment at
 * which each query was due: a server that stalls is charged with everybody who would have waited.
 */
export async function askMeanwhile<T>(
  server: Server,
  { query, perSecond, connections, signal }: OpenLoopOptions,
  work: () => Promise<T>,
): Promise<{ result: T; asked: OpenLoopFigures }> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const body = JSON.stringify({ query });
  const latencies: number[] = [];
  const asking: Promise<void>[] = [];
  let errors = 0;
  const ask = async (dueAt: number) => {
    if (!(await isAnswered(server, agent, body))) errors += 1;
    latencies.push(performance.now() - dueAt);
  };

  const startedAt = performance.now();
  const askWhoIsDue = () => {
    const due = ((performance.now() - startedAt) / 1_000) * perSecond;
    while (asking.length < due) asking.push(ask(startedAt + (asking.length / perSecond) * 1_000));
  };
  const timer = setInterval(askWhoIsDue, TICK_MS);
  try {
    const result = await work();
    clearInterval(timer);
    await Promise.race([Promise.all(asking), aborted(signal)]);
    signal.throwIfAborted();
    latencies.sort((a, b) => a - b);
    const at = (share: number) =>
      Math.round(latencies[Math.max(0, Math.ceil(latencies.length * share) - 1)] ?? 0);
    return {
      result,
      asked: { queries: latencies.length, errors, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) },
    };
  } finally {
    clearInterval(timer);
    agent.destroy();
  }
}

/** Whether the answer is one without errors. */
function isAnswered({ url, token }: Server, agent: Agent, body: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request(
      `${url}/graphql`,
      {
        agent,
        method: 'POST',
        timeout: TIMEOUT_MS,
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', () => {
          resolve(false);
        });
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve(response.statusCode === 200 && text.startsWith('{"data":') && !text.includes('"errors":'));
        });
      },
    );
    asked.on('error', () => {
      resolve(false);
    });
    asked.on('timeout', () => asked.destroy());
    asked.end(body);
  });
}
